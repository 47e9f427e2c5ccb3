from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome import oracle
from genome.files import write_fasta
from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import Fasta, Interval, Variant, alternative_sequence

CONTIG = "ACGTTGCAAC"


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fasta]:
    with Fasta(write_fasta(tmp_path_factory.mktemp("g") / "g.fa", {"c": CONTIG.lower()})) as opened:
        yield opened


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (Variant("c", 3, "G", "T"), "ACTTTGCAAC"),
        (Variant("c", 3, "GT", "CA"), "ACCATGCAAC"),
        (Variant("c", 3, "G", "GAAA"), "ACGAAATTGCAAC"),
        (Variant("c", 3, "GTT", "G"), "ACGGCAAC"),
        (Variant("c", 1, "A", "T"), "TCGTTGCAAC"),
        (Variant("c", 10, "C", "CG"), "ACGTTGCAACG"),
    ],
)
def test_the_alternative_allele_takes_the_place_of_the_reference_allele(
    fasta: Fasta, variant: Variant, expected: str
) -> None:
    assert alternative_sequence(fasta, Interval("c", 0, 10), variant) == expected


@given(
    st.integers(-15, 9),
    st.integers(0, 15),
    st.integers(1, 10),
    st.integers(1, 4),
    st.text("ACGT", min_size=1, max_size=4),
)
def test_any_interval_equals_the_one_written_letter_by_letter(
    fasta: Fasta, start: int, more: int, pos: int, ref_length: int, alt: str
) -> None:
    ref = CONTIG[pos - 1 : pos - 1 + ref_length]
    start = min(start, pos - 1)
    interval = Interval("c", start, pos - 1 + len(ref) + more)
    found = alternative_sequence(fasta, interval, Variant("c", pos, ref, alt))
    end = interval.end + len(alt) - len(ref)
    assert found == oracle.alternative_window(CONTIG, start, end, pos, ref, alt)


@pytest.mark.parametrize("interval", [("c", 3, 9), ("c", 0, 3), ("d", 0, 9)])
def test_variants_that_are_not_wholly_inside_are_refused(
    fasta: Fasta, interval: tuple[str, int, int]
) -> None:
    with pytest.raises(UsageError, match=r"variant c:3 GT>A is not wholly inside the interval"):
        alternative_sequence(fasta, Interval(*interval), Variant("c", 3, "GT", "A"))


def test_unknown_contig_is_a_mismatch(fasta: Fasta) -> None:
    with pytest.raises(InputMismatchError, match="no contig 'd'"):
        alternative_sequence(fasta, Interval("d", 0, 9), Variant("d", 3, "G", "A"))
