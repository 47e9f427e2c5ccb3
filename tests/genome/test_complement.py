import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome import oracle
from tfgen.errors import InputFormatError
from tfgen.genome import (
    encode,
    one_hot,
    reverse_complement,
    reverse_complement_codes,
    reverse_complement_one_hot,
)

SEQUENCES = st.text("ACGTNRYSWKMBDHV", max_size=30)


@given(SEQUENCES)
def test_three_forms_agree_with_the_letters(sequence: str) -> None:
    expected = oracle.reverse_complement(sequence)
    assert reverse_complement(sequence) == expected
    np.testing.assert_array_equal(reverse_complement_codes(encode(sequence)), encode(expected))
    np.testing.assert_array_equal(
        reverse_complement_one_hot(one_hot(sequence, 0.25, "mean")),
        one_hot(expected, 0.25, "mean"),
    )


def test_case_is_kept() -> None:
    assert reverse_complement("AAcGn") == "nCgTT"


def test_batches_keep_their_leading_axes() -> None:
    codes = np.stack([encode("AACG"), encode("TTTN")])
    np.testing.assert_array_equal(
        reverse_complement_codes(codes), np.stack([encode("CGTT"), encode("NAAA")])
    )


def test_rna_is_refused() -> None:
    with pytest.raises(InputFormatError, match="'U' at index 1"):
        reverse_complement("AUG")
