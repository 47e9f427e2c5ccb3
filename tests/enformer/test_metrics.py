"""Streaming Pearson correlation, against numpy on everything at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.enformer.metrics import StreamingPearson
from tfgen.errors import UsageError


def pairs(seed=1, n=400, tracks=3, mean=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(mean, 1.0, (n, tracks))
    return x, 0.6 * x + rng.normal(0, 1.0, (n, tracks))


def expected(x, y):
    return [np.corrcoef(x[:, t], y[:, t])[0, 1] for t in range(x.shape[1])]


@given(cuts=st.lists(st.integers(0, 400), max_size=6), seed=st.integers(0, 50))
def test_batches_of_any_size_give_the_correlation_of_the_whole(cuts, seed):
    x, y = pairs(seed)
    pearson = StreamingPearson(3)
    for part_x, part_y in zip(np.split(x, sorted(cuts)), np.split(y, sorted(cuts)), strict=True):
        pearson.update(part_x, part_y)
    result = pearson.result()
    np.testing.assert_allclose(result.r, expected(x, y), rtol=1e-12)
    assert result.count == 400
    assert result.constant_tracks == ()
    assert result.mean == pytest.approx(np.mean(expected(x, y)))


def test_batches_and_bins_count_alike():
    x, y = pairs()
    pearson = StreamingPearson(3)
    pearson.update(x.reshape(4, 100, 3), y.reshape(4, 100, 3))
    np.testing.assert_allclose(pearson.result().r, expected(x, y), rtol=1e-12)


def test_parts_are_joined_in_any_order():
    x, y = pairs()
    parts = [StreamingPearson(3) for _ in range(3)]
    for part, rows in zip(parts, (slice(0, 50), slice(50, 51), slice(51, 400)), strict=True):
        part.update(x[rows], y[rows])
    whole = StreamingPearson(3)
    for part in (parts[2], StreamingPearson(3), parts[0], parts[1]):
        whole.merge(part)
    np.testing.assert_allclose(whole.result().r, expected(x, y), rtol=1e-12)


def test_a_mean_far_above_the_deviation_costs_no_digits():
    # Raw float32 sums give 0.731 instead of 0.708 for such data (mean / deviation = 1000).
    x, y = pairs(n=20_000, mean=1000.0)
    pearson = StreamingPearson(3)
    for part_x, part_y in zip(np.split(x, 20), np.split(y, 20), strict=True):
        pearson.update(part_x, part_y)
    np.testing.assert_allclose(pearson.result().r, expected(x - 1000, y), rtol=1e-10)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_track_has_no_correlation_and_is_named(constant):
    x, y = pairs()
    y[:, 1] = constant
    pearson = StreamingPearson(3)
    for rows in (slice(0, 100), slice(100, 400)):
        pearson.update(x[rows], y[rows])
    result = pearson.result()
    assert result.constant_tracks == (1,)
    assert result.mean == pytest.approx(np.mean([result.r[0], result.r[2]]))


def test_nothing_seen_is_no_correlation():
    result = StreamingPearson(2).result()
    assert result.constant_tracks == (0, 1)
    assert np.isnan(result.mean)
    assert result.count == 0


def test_a_perfect_correlation_is_one():
    x, _ = pairs()
    pearson = StreamingPearson(3)
    pearson.update(x, 3 * x + 1)
    np.testing.assert_allclose(pearson.result().r, 1.0, rtol=1e-12)
    assert (pearson.result().r <= 1).all()


def test_other_shapes_are_refused():
    pearson = StreamingPearson(3)
    with pytest.raises(UsageError, match=r"predictions \(2, 3\) and targets \(3, 3\)"):
        pearson.update(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(UsageError, match="expected the same shape with 3 tracks last"):
        pearson.update(np.zeros((2, 2)), np.zeros((2, 2)))


def test_other_tracks_cannot_be_joined():
    with pytest.raises(UsageError, match="2 and 3 tracks cannot be joined"):
        StreamingPearson(3).merge(StreamingPearson(2))
