"""Warm-up and decay of the learning rate."""

import math

import pytest

from tfgen.enformer.schedule import LearningRate
from tfgen.errors import UsageError


def test_the_warm_up_is_linear_and_ends_at_the_peak():
    schedule = LearningRate(5e-4, 5000, "constant", 150_000)
    assert schedule.at(0) == pytest.approx(1e-7)
    assert schedule.at(2499) == pytest.approx(2.5e-4)
    assert schedule.at(4999) == pytest.approx(5e-4)


def test_a_constant_rate_stays():
    schedule = LearningRate(5e-4, 5000, "constant", 150_000)
    assert schedule.at(5000) == schedule.at(149_999) == 5e-4


def test_a_cosine_falls_to_zero():
    schedule = LearningRate(2e-3, 100, "cosine", 1100)
    assert schedule.at(100) == pytest.approx(2e-3)
    assert schedule.at(350) == pytest.approx(2e-3 * (1 + math.sqrt(0.5)) / 2)
    assert schedule.at(600) == pytest.approx(1e-3)
    assert schedule.at(1100) == pytest.approx(0, abs=1e-12)
    assert schedule.at(2000) == pytest.approx(0, abs=1e-12)


def test_no_warm_up_starts_at_the_peak():
    assert LearningRate(1e-3, 0, "constant", 10).at(0) == 1e-3


def test_a_warm_up_may_fill_the_run():
    schedule = LearningRate(1e-3, 10, "cosine", 10)
    assert schedule.at(9) == pytest.approx(1e-3)
    assert schedule.at(10) == pytest.approx(1e-3)


@pytest.mark.parametrize("peak", [0.0, -1e-3, math.inf, math.nan])
def test_a_rate_that_is_no_positive_number_is_refused(peak):
    with pytest.raises(UsageError, match="learning rate is .*; expected a positive number"):
        LearningRate(peak, 0, "constant", 10)


def test_an_unknown_decay_is_refused():
    with pytest.raises(UsageError, match="decay is 'linear'; use constant or cosine"):
        LearningRate(1e-3, 0, "linear", 10)


@pytest.mark.parametrize("warmup", [-1, 11])
def test_a_warm_up_longer_than_the_run_is_refused(warmup):
    with pytest.raises(UsageError, match=f"warmup_steps is {warmup}; expected 0 to the 10 steps"):
        LearningRate(1e-3, warmup, "constant", 10)
