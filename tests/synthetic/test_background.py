"""Composition of random DNA, gaps, lower case."""

import numpy as np
import pytest

from tfgen.synthetic.background import background, put_gaps, soft_mask


def test_composition_is_that_of_a_mammal():
    codes = background(2_000_000, np.random.default_rng(1))
    share = np.bincount(codes, minlength=4) / len(codes)
    assert share[1] + share[2] == pytest.approx(0.41, abs=0.01)
    np.testing.assert_allclose(share[:2], share[:1:-1], atol=0.005)  # A = T, C = G
    pairs = np.bincount(4 * codes[:-1] + codes[1:], minlength=16).reshape(4, 4) / len(codes)
    assert pairs[1, 2] == pytest.approx(0.010, abs=0.002)  # CG
    assert pairs[0, 0] == pytest.approx(0.098, abs=0.005)  # AA


@pytest.mark.parametrize("length", [0, 1, 4095, 4097, 10_000])
def test_any_length_is_drawn(length):
    codes = background(length, np.random.default_rng(1))
    assert codes.shape == (length,)
    assert codes.dtype == np.uint8
    assert codes.max(initial=0) < 4


def test_gaps_are_at_both_ends_and_in_the_middle():
    codes = np.zeros(1000, np.uint8)
    put_gaps(codes, 100)
    assert np.flatnonzero(codes == 4).tolist() == [*range(100), *range(450, 550), *range(900, 1000)]


def test_a_gap_of_no_length_changes_nothing():
    codes = np.zeros(1000, np.uint8)
    put_gaps(codes, 0)
    assert not codes.any()


def test_soft_mask_covers_about_the_share_asked_for():
    mask = soft_mask(1_000_000, 0.4, np.random.default_rng(1))
    # Stretches overlap, so the share is 1 - exp(-0.4) = 0.33.
    assert mask.mean() == pytest.approx(0.33, abs=0.03)
    assert mask.shape == (1_000_000,)


def test_soft_mask_of_no_share_is_empty():
    assert not soft_mask(10_000, 0.0, np.random.default_rng(1)).any()
