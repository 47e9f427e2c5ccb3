import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfgen.effects.selfcheck import SelfCheck, combine, compare, is_chosen


def test_about_the_asked_fraction_is_chosen():
    chosen = sum(is_chosen(row, 0.01, seed=0) for row in range(100_000))
    assert 900 < chosen < 1100


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_none_and_all(row, seed):
    assert not is_chosen(row, 0.0, seed)
    assert is_chosen(row, 1.0, seed)


@given(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_keeps_the_rows_of_a_smaller(row, one, other):
    small, large = sorted((one, other))
    assert is_chosen(row, small, 0) <= is_chosen(row, large, 0)


def test_the_seed_decides():
    choices = {tuple(row for row in range(1000) if is_chosen(row, 0.05, seed)) for seed in range(5)}
    assert len(choices) == 5


def test_the_largest_deviation_counts():
    scores = {"SAD": np.float32([[1, 2], [3, 4]]), "SAR": np.float32([[0, 0], [0, 0]])}
    full = {"SAD": np.float32([[1, 2.5], [3, 3]]), "SAR": np.float32([[0, 0], [0, -0.25]])}
    check = compare(scores, full)
    assert check == SelfCheck(2, {"SAD": 1.0, "SAR": 0.25})
    assert check.largest == 1.0


def test_groups_are_joined():
    checks = [SelfCheck(2, {"SAD": 1.0, "SAR": 0.5}), SelfCheck(0, {}), SelfCheck(1, {"SAR": 2.0})]
    joined = combine(checks, ["SAD", "SAR"])
    assert joined == SelfCheck(3, {"SAD": 1.0, "SAR": 2.0})


def test_nothing_checked_deviates_by_nothing():
    assert combine([], ["SAD"]) == SelfCheck(0, {"SAD": 0.0})
    assert SelfCheck(0, {}).largest == 0.0
