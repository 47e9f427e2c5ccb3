"""Means and deviations of features, and what becomes of missing values. NumPy only.

Standardising is part of a model: what is fitted here on the training variants goes with it, and
whoever uses the model gives raw features.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.prior.heads.head_config import FeatureShape

ANNOTATION_CLIP = 30.0
"""Largest standardised annotation. A 0/1 annotation of more than one variant in 900 never meets it;
a rarer one keeps two values, only nearer to each other."""

TRACK_CLIP = 100.0
"""Largest standardised value of a track."""

_LEAST_SD = float(np.finfo(np.float32).tiny)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ColumnStatistics:
    """What training saw of some columns.

    Attributes:
        mean: Mean of the values that are there; 0 without any [columns] float64.
        sd: Their standard deviation (divided by their number), or 1 if it is 0 [columns] float64.
        n_values: Number of values [columns] int64.
        n_missing: Number of NaN [columns] int64.
        constant: Whether all values are the same, or there is none [columns] bool.
    """

    mean: Floats
    sd: Floats
    n_values: npt.NDArray[np.int64]
    n_missing: npt.NDArray[np.int64]
    constant: npt.NDArray[np.bool_]

    @classmethod
    def identity(cls, columns: int) -> Self:
        """Mean 0 and deviation 1: nothing is changed and nothing was missing."""
        none = np.zeros(columns, np.int64)
        mean, sd = np.zeros(columns), np.ones(columns)
        return cls(mean, sd, none, none, np.zeros(columns, np.bool_))


class _Moments:
    """Mean and squared deviations of columns, merged batch by batch.

    T. F. Chan, G. H. Golub, R. J. LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, columns: int) -> None:
        self._n = np.zeros(columns, np.int64)
        self._missing = np.zeros(columns, np.int64)
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)
        self._low = np.full(columns, np.inf)
        self._high = np.full(columns, -np.inf)

    def add(self, values: Floats) -> None:
        """Takes in values [rows, columns]; NaN is missing."""
        there = ~np.isnan(values)
        n = there.sum(axis=0)
        mean = np.where(there, values, 0.0).sum(axis=0) / np.maximum(n, 1)
        squares = np.where(there, (values - mean) ** 2, 0.0).sum(axis=0)
        total = np.maximum(self._n + n, 1)
        shift = mean - self._mean
        self._squares += squares + shift**2 * (self._n / total) * n
        self._mean += shift * (n / total)
        self._n += n
        self._missing += len(values) - n
        self._low = np.fmin(self._low, np.where(there, values, np.inf).min(axis=0, initial=np.inf))
        self._high = np.fmax(
            self._high, np.where(there, values, -np.inf).max(axis=0, initial=-np.inf)
        )

    def statistics(self) -> ColumnStatistics:
        """Of all values so far."""
        # Rounding gives equal values a deviation that is not quite 0; their range tells.
        constant = self._low >= self._high
        sd = np.where(constant, 1.0, np.sqrt(self._squares / np.maximum(self._n, 1)))
        # What float32, in which the model computes, cannot tell from 0 is no deviation.
        sd = np.where(sd >= _LEAST_SD, sd, 1.0)
        mean = np.where(constant & (self._n > 0), self._low, self._mean)
        return ColumnStatistics(mean, sd, self._n, self._missing, constant)


@dataclass(frozen=True)
class Standardiser:
    """Brings features to mean 0 and deviation 1.

    An annotation becomes (x - mean) / sd, at most 30 in size, and 0 where it is missing. Every
    annotation that was missing somewhere in training also gives a column that is 1 where it is
    missing and 0 elsewhere. A track becomes (x - mean) / sd with one mean and deviation for all
    positions, at most 100 in size, and 0 where it is missing.

    Attributes:
        shape: The features.
        annotations: Statistics of the annotations [A].
        tracks: Statistics of the tracks over variants and positions [T].
    """

    shape: FeatureShape
    annotations: ColumnStatistics
    tracks: ColumnStatistics

    @classmethod
    def fit(
        cls,
        batches: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]],
        shape: FeatureShape,
    ) -> Self:
        """Statistics of training variants, in one pass.

        Args:
            batches: Pairs of annotations [n, A] and tracks [n, L, T] (None without tracks), of any
                floating type; NaN is missing.
            shape: The features.

        Raises:
            InputMismatchError: A batch has another shape.
            InputFormatError: A value is infinite, or there is no variant at all.
        """
        annotations, tracks = _Moments(shape.n_annotations), _Moments(shape.n_tracks)
        rows = 0
        for batch_annotations, batch_tracks in batches:
            check_features(shape, batch_annotations, batch_tracks)
            annotations.add(np.asarray(batch_annotations, np.float64))
            if batch_tracks is not None:
                tracks.add(np.asarray(batch_tracks, np.float64).reshape(-1, shape.n_tracks))
            rows += len(batch_annotations)
        if not rows:
            raise InputFormatError("no variants to standardise the features with; give some")
        return cls(shape, annotations.statistics(), tracks.statistics())

    @classmethod
    def identity(cls, shape: FeatureShape) -> Self:
        """Leaves features as they are, but for the largest sizes and missing values."""
        return cls(
            shape,
            ColumnStatistics.identity(shape.n_annotations),
            ColumnStatistics.identity(shape.n_tracks),
        )

    @property
    def indicators(self) -> npt.NDArray[np.intp]:
        """Annotations with a column that tells where they are missing, in order [I]."""
        return np.flatnonzero(self.annotations.n_missing)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The annotations that a network sees: all, then the columns of missing ones [A + I]."""
        names = self.shape.annotation_names
        return (*names, *(f"missing:{names[i]}" for i in self.indicators))

    def apply_annotations(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Raw annotations [n, A] to what a network sees [n, A + I], as the model does it."""
        scaled = _scale(values, self.annotations, ANNOTATION_CLIP)
        missing = np.isnan(values)[:, self.indicators]
        return np.concatenate([scaled, missing.astype(np.float32)], axis=1)

    def apply_tracks(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Raw tracks [n, L, T] to what a network sees [n, L, T], as the model does it."""
        return _scale(values, self.tracks, TRACK_CLIP)

    def unseen_missing(
        self, annotations: npt.NDArray[Any], tracks: npt.NDArray[Any] | None = None
    ) -> dict[str, int]:
        """Missing values that training did not prepare for: they count as the mean.

        Returns:
            Name of a feature that was never missing in training -> number of its missing values,
            where that is not 0. Positions of a track count one by one.
        """
        counts = np.isnan(annotations).sum(axis=0) * (self.annotations.n_missing == 0)
        found = dict(zip(self.shape.annotation_names, counts.tolist(), strict=True))
        if tracks is not None:
            counts = np.isnan(tracks).sum(axis=(0, 1)) * (self.tracks.n_missing == 0)
            for name, count in zip(self.shape.track_names, counts.tolist(), strict=True):
                found[name] = found.get(name, 0) + count
        return {name: count for name, count in found.items() if count}

    def summary(self) -> dict[str, Any]:
        """For people: what was constant, absent or sometimes missing in training."""
        names = (*self.shape.annotation_names, *self.shape.track_names)
        parts = (self.annotations, self.tracks)
        constant = np.concatenate([part.constant for part in parts])
        absent = constant & (np.concatenate([part.n_values for part in parts]) == 0)
        return {
            "annotation_clip": ANNOTATION_CLIP,
            "track_clip": TRACK_CLIP,
            "constant": _where(names, constant),
            "without_values": _where(names, absent),
            "missing_indicators": [names[i] for i in self.indicators],
        }

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every number that matters, by name; read back by `from_arrays`."""
        return {
            f"{kind}_{name}": values
            for kind in ("annotations", "tracks")
            for name, values in vars(getattr(self, kind)).items()
        }

    @classmethod
    def from_arrays(cls, shape: FeatureShape, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The standardiser of `to_arrays`.

        Raises:
            InputMismatchError: An array is missing or does not suit the features.
        """
        identity = cls.identity(shape).to_arrays()
        for name, expected in identity.items():
            found = arrays.get(name)
            if found is None or (found.shape, found.dtype) != (expected.shape, expected.dtype):
                raise InputMismatchError(
                    f"standardiser: {name} is missing or does not suit {shape.n_annotations} "
                    f"annotations and {shape.n_tracks} tracks; copy or train the model again"
                )
        parts = [
            ColumnStatistics(
                **{
                    name.partition("_")[2]: arrays[name]
                    for name in identity
                    if name.startswith(kind)
                }
            )
            for kind in ("annotations", "tracks")
        ]
        return cls(shape, *parts)


def check_features(
    shape: FeatureShape, annotations: npt.NDArray[Any], tracks: npt.NDArray[Any] | None
) -> None:
    """Checks raw features.

    Args:
        shape: What is expected.
        annotations: [n, A].
        tracks: [n, L, T], or None without tracks.

    Raises:
        InputMismatchError: They have another shape.
        InputFormatError: A value is infinite.
    """
    n = len(annotations)
    expected = (n, shape.n_annotations)
    if annotations.shape != expected:
        raise InputMismatchError(
            f"annotations have the shape {annotations.shape}; expected {expected}"
        )
    expected_tracks = (n, shape.length, shape.n_tracks) if shape.track_names else None
    found = None if tracks is None else tracks.shape
    if found != expected_tracks:
        raise InputMismatchError(f"tracks have the shape {found}; expected {expected_tracks}")
    for kind, names, values in (
        ("annotation", shape.annotation_names, annotations),
        ("track", shape.track_names, tracks),
    ):
        if values is not None and np.isinf(values).any():
            bad = np.isinf(values).reshape(-1, len(names)).any(axis=0)
            raise InputFormatError(
                f"{kind} {_where(names, bad)[0]!r} has an infinite value; give a number, or NaN "
                "where it is missing"
            )


def _scale(
    values: npt.NDArray[Any], statistics: ColumnStatistics, clip: float
) -> npt.NDArray[np.float32]:
    mean, sd = statistics.mean.astype(np.float32), statistics.sd.astype(np.float32)
    filled = np.where(np.isnan(values), mean, values).astype(np.float32)
    return np.clip((filled - mean) / sd, np.float32(-clip), np.float32(clip))


def _where(names: Sequence[str], mask: npt.NDArray[np.bool_]) -> list[str]:
    return [name for name, chosen in zip(names, mask, strict=True) if chosen]
