import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfgen.errors import UsageError
from tfgen.prior.outputs.jackknife import (
    block_groups,
    block_jackknife,
    interval,
    jackknife,
    ratio,
    student_quantile,
)
from tfgen.prior.training.prior_folder import BlockPlace, overlap


@given(
    st.lists(
        st.tuples(st.floats(-100, 100), st.floats(0.5, 100)),
        min_size=2,
        max_size=30,
    )
)
def test_a_ratio_of_sums_has_the_standard_error_of_the_definition(pairs):
    totals, weights = np.array(pairs).T
    left = [np.delete(totals, i).sum() / np.delete(weights, i).sum() for i in range(len(totals))]
    b = len(totals)
    expected = np.sqrt((b - 1) / b * sum((x - np.mean(left)) ** 2 for x in left))
    estimate, se = block_jackknife(totals, weights)
    assert estimate == pytest.approx(totals.sum() / weights.sum(), rel=1e-9, abs=1e-9)
    assert se == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_of_equal_blocks_it_is_the_standard_error_of_the_mean():
    x = np.random.default_rng(0).normal(size=17)
    _, se = block_jackknife(x, np.ones(17))
    assert se == pytest.approx(x.std(ddof=1) / np.sqrt(17))


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        weights = rng.uniform(50, 150, 12)
        found = interval(0.3 * weights + np.sqrt(weights) * rng.normal(size=12), weights)
        covered += found.low < 0.3 < found.high
    # Binomial with p = 0.95: three standard deviations are 0.021.
    assert covered / 1000 == pytest.approx(0.95, abs=0.025)


def windows(chroms, n, width, step=10):
    starts = [(str(chrom), step * i) for chrom in range(chroms) for i in range(n)]
    return [BlockPlace(chrom, start, start + width, 0, 0) for chrom, start in starts]


def test_of_sliding_windows_contiguous_groups_are_deleted():
    """The gain of a window is the sum of three stretches of the genome, as windows share LD.

    Deleting one window after the other leaves what it shares with its neighbours, so that the
    interval covers the truth too seldom: for sums of three the variance is three times as large.
    """
    rng = np.random.default_rng(3)
    blocks = windows(2, 90, 30)
    groups = block_groups(blocks)
    assert len(set(groups)) == 60
    weights = np.ones(len(blocks))
    single = grouped = 0
    for _ in range(500):
        x = [np.convolve(rng.normal(size=92), np.ones(3), "valid") for _ in range(2)]
        totals = 0.3 + np.concatenate(x)
        plain, found = interval(totals, weights), interval(totals, weights, groups)
        assert found.estimate == pytest.approx(plain.estimate)
        single += plain.low < 0.3 < plain.high
        grouped += found.low < 0.3 < found.high
    # Of sums of three in a row, groups of three have 19/27 of the variance of the sum.
    assert single / 500 < 0.80
    assert grouped / 500 > 0.87


def test_a_group_is_deleted_as_a_whole():
    rng = np.random.default_rng(4)
    totals, weights = rng.normal(size=7), rng.uniform(1, 2, 7)
    groups = np.array([0, 0, 1, 1, 1, 2, 2])
    left = [totals[groups != g].sum() / weights[groups != g].sum() for g in range(3)]
    expected = np.sqrt(2 / 3 * np.sum((left - np.mean(left)) ** 2))
    estimate, se = block_jackknife(totals, weights, groups)
    assert (estimate, se) == pytest.approx((totals.sum() / weights.sum(), expected))
    reach = stats.t.ppf(0.975, 2) * expected
    found = interval(totals, weights, groups)
    assert (found.low, found.high) == pytest.approx((estimate - reach, estimate + reach))
    one = interval(totals, weights, np.zeros(7, int))
    assert np.isnan([one.se, one.low, one.high]).all()


@given(
    st.integers(1, 3), st.integers(1, 300), st.integers(1, 75), st.randoms(use_true_random=False)
)
def test_blocks_that_overlap_are_in_the_same_or_the_next_group(chroms, n, width, random):
    blocks = windows(chroms, n, width)
    order = list(range(len(blocks)))
    random.shuffle(order)
    by_block = dict(zip(order, block_groups([blocks[i] for i in order]).tolist(), strict=True))
    groups = [by_block[i] for i in range(len(blocks))]
    sizes = np.bincount(groups)
    assert 1 <= len(sizes) <= 200
    assert sizes.min() > 0
    if chroms == 1:
        assert groups == sorted(groups)
    for i, block in enumerate(blocks):
        for j in range(i + 1, min(i + 10, len(blocks))):
            if overlap(block, blocks[j]):
                assert abs(groups[i] - groups[j]) <= 1
    if width > 10 and n > 1:
        assert sizes.min() >= min(3, len(blocks))
    elif len(blocks) <= 200:
        assert len(sizes) == len(blocks)


def test_no_blocks_have_no_groups():
    assert block_groups([]).size == 0


def test_an_interval_above_zero_is_called_so():
    assert interval(np.array([1.0, 1.1, 0.9]), np.ones(3)).is_above_zero
    assert not interval(np.array([1.0, -1.1, 0.9]), np.ones(3)).is_above_zero


def test_one_block_has_no_standard_error_and_is_above_nothing():
    found = interval(np.array([5.0]), np.array([2.0]))
    assert found.estimate == 2.5
    assert np.isnan([found.se, found.low, found.high]).all()
    assert not found.is_above_zero


def test_a_statistic_of_several_sums_is_taken_as_a_whole():
    sums = np.random.default_rng(2).uniform(1, 2, (9, 2, 3))
    found = jackknife(sums, ratio)
    for column in range(3):
        expected = block_jackknife(sums[:, 0, column], sums[:, 1, column])
        assert (found.estimate[column], found.se[column]) == pytest.approx(expected)


def test_a_ratio_over_nothing_is_unknown():
    np.testing.assert_equal(ratio(np.array([[1.0, 4.0], [0.0, 2.0]])), [np.nan, 2.0])


@pytest.mark.parametrize("df", [1, 2, 5, 23, 1000])
@pytest.mark.parametrize("p", [0.5, 0.8, 0.975, 0.9995])
def test_quantiles_are_those_of_scipy(p, df):
    assert student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-7, abs=1e-9)


def test_what_is_no_list_of_blocks_is_refused():
    with pytest.raises(UsageError, match=r"\(2,\) totals with \(3,\) weights; expected one"):
        block_jackknife(np.ones(2), np.ones(3))
    with pytest.raises(UsageError, match="no blocks to take a standard error over"):
        block_jackknife(np.ones(0), np.ones(0))
