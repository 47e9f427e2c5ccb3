import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.oracle import MEMBERS
from tfgen.errors import InputFormatError
from tfgen.genome import AMBIGUITY, CODES, LETTERS, N_CODE, decode, encode


def test_bases_are_zero_to_three_and_n_is_four() -> None:
    assert encode("ACGTN").tolist() == [0, 1, 2, 3, 4]
    assert N_CODE == 4


def test_ambiguity_letters_stand_for_their_bases() -> None:
    assert {letter: bases for letter, bases in AMBIGUITY.items() if letter != "N"} == {
        letter: bases for letter, bases in MEMBERS.items() if letter not in "ACGT"
    }
    assert sorted(LETTERS) == sorted(set(MEMBERS) | {"N"})


@given(st.text(alphabet="ACGTNRYSWKMBDHVacgtnryswkmbdhv"))
def test_decoding_gives_the_letters_back_in_upper_case(sequence: str) -> None:
    assert decode(encode(sequence)) == sequence.upper()
    assert encode(sequence.encode()).tolist() == encode(sequence).tolist()


@given(st.binary(max_size=20))
def test_any_bytes_are_codes_or_a_format_error(sequence: bytes) -> None:
    is_dna = all(chr(byte).upper() in LETTERS for byte in sequence)
    if is_dna:
        assert encode(sequence).dtype == np.uint8
    else:
        with pytest.raises(InputFormatError, match="is not a DNA letter"):
            encode(sequence)


@pytest.mark.parametrize("letter", ["U", "u", ".", "-", "*", " ", "X", "é", "\N{DNA DOUBLE HELIX}"])
def test_the_first_foreign_letter_is_named_with_its_index(letter: str) -> None:
    with pytest.raises(InputFormatError, match=r"at index 2 of a sequence is not a DNA letter"):
        encode(f"AC{letter}-")
    assert CODES[ord("U")] == 255


def test_codes_of_a_sequence_can_be_changed() -> None:
    codes = encode("AAA")
    codes[1] = 3
    assert decode(codes) == "ATA"


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(InputFormatError, match=r"code 15 is not that of a DNA letter.*0-14"):
        decode(np.array([0, 15], np.uint8))
    assert decode(np.array([], np.uint8)) == ""
