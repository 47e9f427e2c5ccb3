import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.genome import Interval

SMALL = st.integers(-30, 30)


def intervals(chrom: str = "chr1") -> st.SearchStrategy[Interval]:
    return st.tuples(SMALL, st.integers(0, 20)).map(lambda x: Interval(chrom, x[0], sum(x)))


def positions(interval: Interval) -> set[int]:
    return set(range(interval.start, interval.end))


def test_width_counts_bases_of_a_half_open_interval() -> None:
    assert Interval("chr1", 10, 15).width == 5
    assert Interval("chr1", -3, -3).width == 0


def test_end_before_start_is_refused() -> None:
    with pytest.raises(UsageError, match=r"chr1:5-4 ends before it starts.*end >= start"):
        Interval("chr1", 5, 4)


def test_text_form_is_zero_based() -> None:
    assert str(Interval("chrX", 0, 7)) == "chrX:0-7"


@given(intervals(), intervals())
def test_overlap_means_a_common_position(one: Interval, other: Interval) -> None:
    assert one.overlaps(other) == bool(positions(one) & positions(other))


@given(intervals(), intervals())
def test_contained_positions_are_a_subset(one: Interval, other: Interval) -> None:
    if one.contains(other):
        assert positions(other) <= positions(one)
    elif other.width:
        assert not positions(other) <= positions(one)


def test_other_contigs_neither_overlap_nor_contain() -> None:
    assert not Interval("chr1", 0, 9).contains(Interval("chr2", 2, 3))
    assert not Interval("chr1", 0, 9).overlaps(Interval("chr2", 2, 3))


@given(intervals(), st.integers(0, 25))
def test_clipping_keeps_exactly_the_positions_on_the_contig(
    interval: Interval, length: int
) -> None:
    clipped = interval.clipped(length)
    assert positions(clipped) == positions(interval) & set(range(length))
    assert 0 <= clipped.start <= clipped.end <= length
