"""How well predicted variant effects agree with the true ones."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError, UsageError
from tfgen.synthetic.effects import TrueEffects
from tfgen.synthetic.variants import ELSEWHERE, VARIANT_CLASSES

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Scorecard:
    """Agreement of predicted with true effects; every number is a mean over the tracks.

    Attributes:
        n_variants: Variants compared.
        pearson_r: Pearson r over all of them.
        spearman_r: Spearman rank correlation over all of them.
        pearson_r_motif: Pearson r over those within planted motifs.
        by_class: Class of variant -> Pearson r over the variants of that class.
        counts: Class of variant -> number of variants.
    """

    n_variants: int
    pearson_r: float
    spearman_r: float
    pearson_r_motif: float
    by_class: Mapping[str, float]
    counts: Mapping[str, int]


def score_card(predicted: FloatArray, truth: TrueEffects) -> Scorecard:
    """Compares predicted with true effects.

    Args:
        predicted: Predicted effects `[variants, tracks]`, rows as in `truth`.
        truth: The same variants.

    Raises:
        InputMismatchError: The shapes differ, or a prediction is missing.
    """
    if predicted.shape != truth.sad.shape:
        raise InputMismatchError(
            f"predicted effects {predicted.shape}, true effects {truth.sad.shape}; expected the "
            "same variants and tracks"
        )
    if not np.isfinite(predicted).all():
        missing = int((~np.isfinite(predicted)).any(axis=1).sum())
        raise InputMismatchError(
            f"{missing} of {len(predicted)} variants have no score; see the status of their rows"
        )
    classes = rows_by_class(truth)
    in_motif = truth.variant_class != ELSEWHERE
    return Scorecard(
        n_variants=len(predicted),
        pearson_r=mean_pearson(predicted, truth.sad),
        spearman_r=mean_pearson(ranks(predicted), ranks(truth.sad)),
        pearson_r_motif=mean_pearson(predicted[in_motif], truth.sad[in_motif]),
        by_class={
            name: mean_pearson(predicted[rows], truth.sad[rows]) for name, rows in classes.items()
        },
        counts={name: int(rows.sum()) for name, rows in classes.items()},
    )


def rows_by_class(truth: TrueEffects) -> dict[str, npt.NDArray[np.bool_]]:
    """Class of variant -> which variants are of it, for the classes that occur."""
    rows = {name: truth.variant_class == name for name in VARIANT_CLASSES}
    return {name: chosen for name, chosen in rows.items() if chosen.any()}


def select(truth: TrueEffects, rows: npt.NDArray[np.bool_]) -> TrueEffects:
    """The true effects of some of the variants `[n]`, in the same order.

    Raises:
        UsageError: No variant is chosen.
    """
    if not rows.any():
        raise UsageError("no variant is chosen; expected a world with held-out variants")
    return TrueEffects(
        variants=tuple(truth.variants[row] for row in np.flatnonzero(rows)),
        variant_class=truth.variant_class[rows],
        split=truth.split[rows],
        frequency=truth.frequency[rows],
        sad=truth.sad[rows],
    )


def mean_pearson(x: FloatArray, y: FloatArray) -> float:
    """Pearson r between columns `[n, tracks]`, the mean over the tracks where both vary.

    NaN if no track varies.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    varying = scale > 0
    if not varying.any():
        return float("nan")
    return float(np.mean((x * y).sum(axis=0)[varying] / scale[varying]))


def ranks(values: FloatArray) -> FloatArray:
    """Rank of each value within its column `[n, tracks]`, from 0; ties share their mean rank."""
    result = np.empty(values.shape)
    for track, column in enumerate(values.T):
        _, group, size = np.unique(column, return_inverse=True, return_counts=True)
        last = np.cumsum(size) - 1
        result[:, track] = (last - (size - 1) / 2)[group]
    return result
