import numpy as np
import pytest

from tfgen.effects import percentiles
from tfgen.effects.percentiles import track_percentiles
from tfgen.effects.schema import PERCENTILES


def by_sorting(scores):
    """Linear interpolation between order statistics, one value at a time."""
    ordered = sorted(float(score) for score in scores if np.isfinite(score))
    result = []
    for fraction in PERCENTILES:
        place = float(fraction) * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        result.append(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
    return result


@pytest.mark.parametrize("block_bytes", [1, 3 * 50 * 4, 1 << 20])
def test_percentiles_of_finite_scores_whatever_the_block(monkeypatch, block_bytes):
    monkeypatch.setattr(percentiles, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(50, 7)).astype(np.float32)
    scores[rng.random(50) < 0.3] = np.nan
    widths = []

    def read(start, stop):
        widths.append(stop - start)
        return scores[:, start:stop]

    result = track_percentiles(read, 50, 7)
    assert result.dtype == np.float32
    assert result.shape == (7, 279)
    assert sum(widths) == 7
    assert max(widths) == min(7, max(1, block_bytes // 200))
    for track in range(7):
        np.testing.assert_allclose(result[track], by_sorting(scores[:, track]), rtol=1e-6)


def test_tracks_without_scores_have_no_percentiles():
    scores = np.full((4, 2), np.nan, np.float32)
    scores[2, 1] = 5
    result = track_percentiles(lambda start, stop: scores[:, start:stop], 4, 2)
    assert np.isnan(result[0]).all()
    assert (result[1] == 5).all()


def test_no_rows_at_all():
    empty = np.zeros((0, 2), np.float32)
    assert np.isnan(track_percentiles(lambda start, stop: empty[:, start:stop], 0, 2)).all()
