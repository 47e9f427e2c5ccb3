import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table
from tfgen.errors import InputFormatError
from tfgen.genome import VariantTable
from tfgen.prior.outputs.sample_sizes import SampleSizes
from tfgen.prior.sumstats.munged import MungedStats


def statistics(*names):
    return MungedStats(table(*names), np.zeros(len(names)), 100.0 + np.arange(len(names)))


def test_sizes_are_found_by_position_and_alleles_in_any_order():
    sizes = SampleSizes(statistics("2:7:A:G", "1:9:A:G", "1:5:A:G", "1:7:C:T", "1:7:A:G"), "x")
    found = sizes.of(table("1:5:G:A", "1:6:A:G", "1:7:A:G", "1:9:A:C"))
    np.testing.assert_equal(found, [102, np.nan, 104, np.nan])


def test_contigs_without_statistics_and_empty_blocks_have_none():
    sizes = SampleSizes(statistics("1:5:A:G"), "x")
    np.testing.assert_equal(sizes.of(table("3:5:A:G", "3:6:A:G")), [np.nan, np.nan])
    assert sizes.of(VariantTable.of([], [], [], [])).size == 0


def test_a_variant_that_comes_twice_is_named():
    sizes = SampleSizes(statistics("1:5:A:G", "1:5:A:G"), "height")
    with pytest.raises(InputFormatError, match="height: 1:5:A:G occurs more than once"):
        sizes.of(table("1:5:A:G"))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), unique=True, min_size=1))
def test_any_order_of_the_statistics_gives_the_same(places):
    stats = statistics(*(f"{chrom}:{pos}:A:G" for chrom, pos in places))
    expected = dict(zip(places, stats.n.tolist(), strict=True))
    sizes = SampleSizes(stats, "x")
    for start in (1, 11, 31):
        names = [f"2:{pos}:A:G" for pos in range(start, start + 10)]
        known = [expected.get((2, pos), np.nan) for pos in range(start, start + 10)]
        np.testing.assert_equal(sizes.of(table(*names)), known)
