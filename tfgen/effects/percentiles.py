"""Percentiles of each track over all scored rows, exact and in bounded memory."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import PERCENTILES

BLOCK_BYTES = 32 << 20
"""Bytes of scores held at a time; one track is always held whole."""

ReadTracks = Callable[[int, int], npt.NDArray[np.floating]]


def track_percentiles(read: ReadTracks, n_rows: int, n_tracks: int) -> npt.NDArray[np.float32]:
    """Percentiles over the rows with a finite score, as `numpy.percentile` (linear) gives them.

    Args:
        read: (first track, stop track) -> scores [rows, tracks] of all rows.
        n_rows: Number of rows.
        n_tracks: Number of tracks.

    Returns:
        float32 [tracks, 279] at `PERCENTILES`; NaN for a track without a finite score.
    """
    result = np.full((n_tracks, PERCENTILES.size), np.nan, np.float32)
    step = max(1, BLOCK_BYTES // (max(1, n_rows) * np.dtype(np.float32).itemsize))
    for start in range(0, n_tracks, step):
        block = read(start, min(start + step, n_tracks))
        for track, column in enumerate(block.T, start=start):
            # Sorting float32 first makes numpy's own search for 279 places much faster.
            scores = np.sort(column[np.isfinite(column)])
            if scores.size:
                result[track] = np.percentile(scores.astype(np.float64), 100 * PERCENTILES)
    return result
