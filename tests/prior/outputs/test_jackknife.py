import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfgen.errors import UsageError
from tfgen.prior.outputs.jackknife import (
    block_jackknife,
    interval,
    jackknife,
    ratio,
    student_quantile,
)


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
