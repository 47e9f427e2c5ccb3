from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome import oracle
from genome.files import write_fasta
from tfgen.errors import UsageError
from tfgen.genome import (
    CheckedVariant,
    ContigNames,
    Fasta,
    Interval,
    Status,
    Variant,
    VariantWindow,
    centred_window,
    check_variant,
    decode,
    longest_centred_allele,
    variant_window,
)

CONTIG = "".join("ACGT"[i * i * 7 % 11 % 4] for i in range(120))
NAMES = ContigNames(["c"])


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fasta]:
    contigs = {"c": CONTIG, "n": "N" * 30 + "ACGT" * 5 + "N" * 30, "r": "ACGTRACGT"}
    with Fasta(write_fasta(tmp_path_factory.mktemp("g") / "g.fa", contigs)) as opened:
        yield opened


def checked(variant: Variant) -> CheckedVariant:
    return CheckedVariant(variant, Status.OK)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 196_608])
@pytest.mark.parametrize("alleles", [("A", "C"), ("A", "ACC"), ("ACC", "A"), ("AC", "GTT")])
def test_first_base_of_any_variant_is_at_half_the_length(
    length: int, alleles: tuple[str, str]
) -> None:
    window = centred_window(Variant("c", 5, *alleles), length)
    assert window.width == length
    assert 4 - window.start == length // 2
    assert window.chrom == "c"


def test_centred_window_needs_a_length() -> None:
    with pytest.raises(UsageError, match="window length 0: expected a positive number"):
        centred_window(Variant("c", 5, "A", "C"), 0)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_longest_allele_of_a_centred_window_just_fits(fasta: Fasta, length: int) -> None:
    longest = longest_centred_allele(length)
    fits = Variant("c", 50, CONTIG[49 : 49 + longest], "A")
    variant_window(fasta, checked(fits), centred_window(fits, length))
    too_long = Variant("c", 50, CONTIG[49 : 50 + longest], "A")
    with pytest.raises(UsageError, match="is not wholly inside the window"):
        variant_window(fasta, checked(too_long), centred_window(too_long, length))


ALLELES = st.text("ACGT", min_size=1, max_size=12)


def assert_equals_oracle(found: VariantWindow, variant: Variant, window: Interval) -> None:
    span = (window.start, window.end)
    ref = oracle.window(CONTIG, *span)
    assert decode(found.ref_codes) == ref
    assert decode(found.alt_codes) == oracle.alternative_window(
        CONTIG, *span, variant.pos, variant.ref, variant.alt
    )
    assert found.offset == variant.start - window.start
    assert found.n_padded == sum(not 0 <= i < len(CONTIG) for i in range(*span))
    assert found.n_fraction == ref.count("N") / len(ref)
    assert found.is_substitution == (len(variant.ref) == len(variant.alt))
    assert found.indel_shift != found.is_substitution
    assert (found.status is Status.OK) == (found.n_padded <= len(ref) / 2)


@given(
    pos=st.integers(1, 120), ref_length=st.integers(1, 12), alt=ALLELES, length=st.integers(24, 400)
)
def test_centred_windows_equal_the_string_oracle_up_to_both_contig_ends(
    fasta: Fasta, pos: int, ref_length: int, alt: str, length: int
) -> None:
    variant = Variant("c", pos, CONTIG[pos - 1 : pos - 1 + ref_length], alt)
    window = centred_window(variant, length)
    assert_equals_oracle(variant_window(fasta, checked(variant), window), variant, window)


@given(
    pos=st.integers(1, 120),
    ref_length=st.integers(1, 12),
    alt=ALLELES,
    left=st.integers(0, 100),
    right=st.integers(0, 100),
)
def test_the_variant_may_be_anywhere_inside_a_window(
    fasta: Fasta, pos: int, ref_length: int, alt: str, left: int, right: int
) -> None:
    variant = Variant("c", pos, CONTIG[pos - 1 : pos - 1 + ref_length], alt)
    window = Interval("c", variant.start - left, variant.end + right)
    assert_equals_oracle(variant_window(fasta, checked(variant), window), variant, window)


def test_left_flank_stays_and_right_flank_moves_for_a_deletion() -> None:
    # The published way: the same start, one base further read for every base deleted.
    assert oracle.alternative_window("ACGTACGTAC", 0, 6, 3, "GT", "G") == "ACGACG"
    assert oracle.alternative_window("ACGTACGTAC", 6, 12, 8, "TA", "T") == "GTCNNN"
    assert oracle.alternative_window("ACGTACGTAC", 0, 6, 3, "G", "GCC") == "ACGCCT"


@pytest.mark.parametrize("window", [("c", 50, 80), ("c", 20, 51), ("n", 0, 90)])
def test_a_variant_that_is_not_wholly_inside_is_refused(
    fasta: Fasta, window: tuple[str, int, int]
) -> None:
    variant = Variant("c", 50, CONTIG[49:52], "A")
    with pytest.raises(UsageError, match=r"c:50 .* is not wholly inside the window .*:\d+-\d+"):
        variant_window(fasta, checked(variant), Interval(*window))


def test_a_variant_that_failed_its_check_has_no_window(fasta: Fasta) -> None:
    failed = check_variant(Variant("c", 5, "A", "<DEL>"), fasta, NAMES)
    with pytest.raises(UsageError, match="has status SYMBOLIC; only OK variants have sequences"):
        variant_window(fasta, failed, Interval("c", 0, 20))


def test_swapped_variants_read_as_the_genome(fasta: Fasta) -> None:
    genome = CONTIG[49]
    other = next(base for base in "ACGT" if base != genome)
    result = check_variant(Variant("c", 50, other, genome), fasta, NAMES, ref_policy="swap")
    window = variant_window(fasta, result, Interval("c", 40, 60))
    assert window.swapped
    assert decode(window.ref_codes) == CONTIG[40:60]
    assert decode(window.alt_codes[9:10]) == other


def test_the_reference_allele_resolves_an_ambiguity_letter(fasta: Fasta) -> None:
    window = variant_window(fasta, checked(Variant("r", 5, "G", "C")), Interval("r", 0, 9))
    assert decode(window.ref_codes) == "ACGTGACGT"
    assert decode(window.alt_codes) == "ACGTCACGT"


@pytest.mark.parametrize(
    ("start", "status"), [(-9, Status.OK), (-10, Status.OK), (-11, Status.WINDOW_OFF_CONTIG)]
)
def test_more_than_half_outside_the_contig_is_a_status(
    fasta: Fasta, start: int, status: Status
) -> None:
    variant = Variant("c", 1, CONTIG[0], "N")
    window = variant_window(fasta, checked(variant), Interval("c", start, start + 20), 0.0)
    expected = Status.N_FRACTION if status is Status.OK else status
    assert (window.status, window.n_padded) == (expected, -start)
    window = variant_window(fasta, checked(variant), Interval("c", start, start + 20))
    assert window.status is status
    if status is Status.WINDOW_OFF_CONTIG:
        assert window.detail == f"11 of 20 positions of c:{start}-9 are outside the contig"


def test_n_fraction_is_a_status_only_above_the_limit(fasta: Fasta) -> None:
    variant = checked(Variant("n", 31, "A", "C"))
    window = Interval("n", 20, 40)
    assert variant_window(fasta, variant, window).status is Status.OK
    assert variant_window(fasta, variant, window, 0.5).status is Status.OK
    above = variant_window(fasta, variant, window, 0.49)
    assert above.status is Status.N_FRACTION
    assert above.n_fraction == 0.5
    assert above.detail == "N fraction 0.5000 of n:20-40 is above 0.49"


def test_sequences_are_own_writeable_arrays(fasta: Fasta) -> None:
    variant = checked(Variant("c", 50, CONTIG[49], "N"))
    window = variant_window(fasta, variant, Interval("c", 40, 60))
    window.ref_codes[:] = 3
    window.alt_codes[:] = 2
    again = variant_window(fasta, variant, Interval("c", 40, 60))
    assert decode(again.ref_codes) == CONTIG[40:60]
    assert np.count_nonzero(again.ref_codes != again.alt_codes) == 1
