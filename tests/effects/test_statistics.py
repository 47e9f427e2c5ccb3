import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfgen.effects.statistics import (
    STATISTICS,
    central_bins,
    check_statistics,
    compute_statistics,
)
from tfgen.errors import UsageError

REFERENCE = np.array([[0.0, 1.0], [3.0, 0.0], [1.0, 7.0]], np.float32)
ALTERNATIVE = np.array([[1.0, 0.0], [7.0, 0.0], [1.0, 3.0]], np.float32)


def test_sad_is_the_sum_of_the_differences_over_all_bins():
    scores = compute_statistics(["SAD"], REFERENCE, ALTERNATIVE, offset=128)
    np.testing.assert_array_equal(scores["SAD"], [1 + 4 + 0, -1 + 0 - 4])


def test_sar_is_the_sum_of_log2_ratios_with_pseudocount_one():
    scores = compute_statistics(["SAR"], REFERENCE, ALTERNATIVE, offset=128)
    # log2: 1/0 -> 1; 7/3 -> 3 - 2; 1/1 -> 0. Second track: 0/1 -> -1; 0; 3/7 -> 2 - 3.
    np.testing.assert_allclose(scores["SAR"], [1 + 1 + 0, -1 + 0 - 1], rtol=1e-6)


@pytest.mark.parametrize(("offset", "expected"), [(128, [2.5, -0.5]), (192, [2.0, -2.0])])
def test_tcra_is_the_mean_of_the_two_bins_around_the_variant(offset, expected):
    # offset 128 is the first base of bin 1: bins 0 and 1. Offset 192 is its middle: bins 1 and 2.
    scores = compute_statistics(["tCRA"], REFERENCE, ALTERNATIVE, offset)
    np.testing.assert_array_equal(scores["tCRA"], expected)


def test_statistics_keep_leading_axes_and_are_float32():
    reference, alternative = np.stack([REFERENCE] * 4), np.stack([ALTERNATIVE] * 4)
    scores = compute_statistics(list(STATISTICS), reference, alternative, 128)
    assert {values.shape for values in scores.values()} == {(4, 2)}
    assert {values.dtype for values in scores.values()} == {np.dtype(np.float32)}


def test_sums_are_taken_in_float64():
    # In float32 every addition of 1 to 2**24 is lost.
    alternative = np.ones((1000, 1), np.float32)
    alternative[0] = 2**24
    scores = compute_statistics(["SAD"], np.zeros_like(alternative), alternative, 500 * 128)
    assert scores["SAD"][0] == np.float32(2**24 + 999)


predictions = hnp.arrays(
    np.float32, (6, 3), elements=st.floats(0, 1000, width=32, allow_subnormal=False)
)


@given(predictions, predictions)
def test_every_statistic_equals_a_plain_loop(reference, alternative):
    offset = 3 * 128 + 64
    expected = {"SAD": [], "SAR": [], "tCRA": []}
    for track in range(3):
        pairs = [
            (float(reference[bin_, track]), float(alternative[bin_, track])) for bin_ in range(6)
        ]
        expected["SAD"].append(math.fsum(a - r for r, a in pairs))
        expected["SAR"].append(math.fsum(math.log2(a + 1) - math.log2(r + 1) for r, a in pairs))
        expected["tCRA"].append(math.fsum(a - r for r, a in pairs[3:5]) / 2)
    scores = compute_statistics(list(expected), reference, alternative, offset)
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-5, atol=5e-4)


@given(predictions)
def test_equal_predictions_score_exactly_zero(same):
    scores = compute_statistics(list(STATISTICS), same, same.copy(), 300)
    assert all((values == 0).all() for values in scores.values())


def test_the_published_centred_window_uses_bins_447_and_448():
    # Window of 196,608, variant at 98,304, output from 40,960 on (Li et al. 2026).
    assert central_bins(98_304 - 40_960, 896) == (447, 448)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(128, (0, 1)), (191, (0, 1)), (192, (1, 2)), (255, (1, 2)), (256, (1, 2)), (64, (0, 1))],
)
def test_central_bins_at_every_kind_of_phase(offset, expected):
    assert central_bins(offset, 4) == expected


@given(st.integers(64, 896 * 128 - 65))
def test_central_bins_reach_at_least_half_a_bin_to_either_side(offset):
    first, second = central_bins(offset, 896)
    assert second == first + 1
    assert offset - first * 128 >= 64
    assert (second + 1) * 128 - offset > 64


@pytest.mark.parametrize("offset", [-1, 0, 63, 4 * 128 - 64, 4 * 128 + 200])
def test_central_bins_outside_the_output_are_refused(offset):
    with pytest.raises(UsageError, match="has no two bins around it among 4"):
        central_bins(offset, 4)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no statistic is named; choose from SAD, SAR, tCRA"),
        (["SAD", "LOG"], "'LOG' is unknown; choose from SAD, SAR, tCRA"),
        (["SAD", "SAD"], "named twice in SAD,SAD"),
    ],
)
def test_bad_choices_of_statistics_are_refused(names, message):
    with pytest.raises(UsageError, match=message):
        check_statistics(names)


def test_predictions_of_different_shape_are_refused():
    with pytest.raises(UsageError, match=r"shape \(3, 2\) and alternative ones \(2, 2\)"):
        compute_statistics(["SAD"], REFERENCE, ALTERNATIVE[:2], 128)


def test_sad_needs_no_bins_around_the_variant():
    assert compute_statistics(["SAD"], REFERENCE[:1], ALTERNATIVE[:1], 0)["SAD"].shape == (2,)
