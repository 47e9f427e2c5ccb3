"""Pearson correlation of predictions with observations, gathered batch by batch."""

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Pearson correlation per track.

    Attributes:
        r: float64 `[tracks]`; NaN where either side is constant.
        count: Pairs of values per track.
    """

    r: FloatArray
    count: int

    @property
    def constant_tracks(self) -> tuple[int, ...]:
        """Tracks without a correlation, because prediction or observation is constant."""
        return tuple(int(track) for track in np.flatnonzero(np.isnan(self.r)))

    @property
    def mean(self) -> float:
        """Mean over the tracks that have a correlation; NaN if none has."""
        known = self.r[~np.isnan(self.r)]
        return float(known.mean()) if len(known) else float("nan")


class StreamingPearson:
    """Pearson r per track over all positions of all batches, in float64.

    Means and centred second moments are kept, not raw sums, and joined by the formula of Chan,
    Golub and LeVeque (1983, doi:10.1080/00031305.1983.10483115), so that a mean far above the
    standard deviation costs no digits and parts of a data set can be joined in any order.

    Args:
        n_tracks: Tracks of every batch.
    """

    def __init__(self, n_tracks: int) -> None:
        self._count = 0
        self._mean = np.zeros((2, n_tracks))
        self._squares = np.zeros((2, n_tracks))
        self._product = np.zeros(n_tracks)

    def update(self, prediction: npt.ArrayLike, target: npt.ArrayLike) -> None:
        """Adds pairs of values.

        Args:
            prediction: `[..., tracks]`.
            target: The same shape.

        Raises:
            UsageError: The shapes differ or have another number of tracks.
        """
        values = [np.asarray(side, np.float64) for side in (prediction, target)]
        n_tracks = len(self._product)
        if values[0].shape != values[1].shape or values[0].shape[-1:] != (n_tracks,):
            raise UsageError(
                f"predictions {values[0].shape} and targets {values[1].shape}; expected the same "
                f"shape with {n_tracks} tracks last"
            )
        pairs = np.stack([side.reshape(-1, n_tracks) for side in values])
        if pairs.shape[1] == 0:
            return
        # Relative to the first value, a constant track has a deviation of exactly zero.
        origin = pairs[:, :1]
        relative = pairs - origin
        mean = relative.mean(axis=1, keepdims=True)
        centred = relative - mean
        squares = np.square(centred).sum(axis=1)
        product = (centred[0] * centred[1]).sum(axis=0)
        self._join(pairs.shape[1], (origin + mean)[:, 0], squares, product)

    def merge(self, other: Self) -> None:
        """Adds all pairs that `other` has seen.

        Raises:
            UsageError: The number of tracks differs.
        """
        if len(other._product) != len(self._product):
            raise UsageError(
                f"{len(other._product)} and {len(self._product)} tracks cannot be joined; "
                "expected the same number"
            )
        if other._count:
            self._join(other._count, other._mean, other._squares, other._product)

    def result(self) -> Correlation:
        """The correlation over everything seen so far."""
        scale = np.sqrt(self._squares[0]) * np.sqrt(self._squares[1])
        known = np.where(scale > 0, scale, np.nan)
        return Correlation(np.clip(self._product / known, -1, 1), self._count)

    def _join(self, count: int, mean: FloatArray, squares: FloatArray, product: FloatArray) -> None:
        total = self._count + count
        gap = mean - self._mean
        weight = self._count * count / total
        self._squares += squares + np.square(gap) * weight
        self._product += product + gap[0] * gap[1] * weight
        self._mean += gap * (count / total)
        self._count = total
