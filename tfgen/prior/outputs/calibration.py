"""Does a prior say the right thing about the size of effects? Figures that should be 1, and more.

Under the model y ~ N(0, K) the statistic y'K^-1 y is chi-square with k degrees of freedom, z_j^2
has the mean (R F R)_jj + sigma, and E[b_i^2 | z] has the mean f_i over data sets.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.prior.outputs.jackknife import Groups, jackknife, ratio

Doubles = npt.NDArray[np.float64]

RATIO_RANGE = (0.9, 1.1)
"""y'K^-1 y / k outside of this is called a mismatch of LD and z-scores, if chance is no reason."""

MISMATCH_P = 0.01
"""Two-sided chi-square probability below which chance is no reason."""

N_GROUPS = 10

_MAX_POINTS = 1000


def is_mismatch(mahalanobis_per_k: float, k: int | None = None) -> bool:
    """Whether y'K^-1 y / k is too far from 1.

    That is: outside of `RATIO_RANGE` and, since its standard deviation is sqrt(2 / k), with a
    probability below `MISMATCH_P`; or not a number.

    Args:
        mahalanobis_per_k: The ratio.
        k: Degrees of freedom; None asks for the range alone.
    """
    low, high = RATIO_RANGE
    if low <= mahalanobis_per_k <= high:
        return False
    p = mahalanobis_p(mahalanobis_per_k, k) if k is not None else 0.0
    return not p >= MISMATCH_P  # also if it is not a number


def mahalanobis_p(mahalanobis_per_k: float, k: int) -> float:
    """Two-sided chi-square probability of y'K^-1 y; NaN without degrees of freedom.

    Args:
        mahalanobis_per_k: y'K^-1 y / k.
        k: Degrees of freedom.
    """
    import tensorflow as tf

    if k < 1 or not np.isfinite(mahalanobis_per_k):
        return float("nan")
    half = tf.constant(k / 2, tf.float64), tf.constant(mahalanobis_per_k * k / 2, tf.float64)
    tail = min(float(tf.math.igammac(*half)), float(tf.math.igamma(*half)))
    return min(1.0, 2.0 * tail)


@dataclass(frozen=True)
class VariantFigures:
    """Observed variants of one block [m].

    Attributes:
        f: Prior variance.
        z_squared: Squared z-score.
        expected: Its mean under the model.
        second_moment: E[b^2 | z].
    """

    f: Doubles
    z_squared: Doubles
    expected: Doubles
    second_moment: Doubles


@dataclass(frozen=True)
class Group:
    """Variants of similar prior variance.

    Attributes:
        n: How many.
        mean_f: Their mean prior variance.
        z_squared: Their mean squared z-score.
        expected: Its mean under the model.
        z_ratio: `z_squared` over `expected`.
        z_ratio_se: Its standard error over blocks.
        em_ratio: Mean of E[b^2 | z] over mean f.
        em_ratio_se: Its standard error over blocks.
    """

    n: int
    mean_f: float
    z_squared: float
    expected: float
    z_ratio: float
    z_ratio_se: float
    em_ratio: float
    em_ratio_se: float


def groups_by_f(blocks: list[VariantFigures], deleted: Groups | None = None) -> list[Group]:
    """Tenths of the variants by their prior variance, the smallest first.

    Variants with the same f stay together, so that there may be fewer groups, one for a constant
    prior.

    Args:
        blocks: The variants of every block.
        deleted: Group of each block, as in `jackknife.jackknife`.
    """
    f = np.concatenate([block.f for block in blocks]) if blocks else np.zeros(0)
    if not f.size:
        return []
    # Lower values are variants' own, so that equal f are never cut by rounding.
    shares = np.arange(1, N_GROUPS) / N_GROUPS
    edges = np.unique(np.quantile(f, shares, method="lower"))
    sums = np.stack([_sums(block, edges) for block in blocks])  # [blocks, 5, groups]
    z_ratio = jackknife(sums[:, [1, 2]], ratio, deleted)
    em_ratio = jackknife(sums[:, [3, 4]], ratio, deleted)
    total = sums.sum(axis=0)
    found = []
    for g in np.flatnonzero(total[0] > 0):
        n = total[0, g]
        found.append(
            Group(
                n=int(n),
                mean_f=float(total[4, g] / n),
                z_squared=float(total[1, g] / n),
                expected=float(total[2, g] / n),
                z_ratio=float(z_ratio.estimate[g]),
                z_ratio_se=float(z_ratio.se[g]),
                em_ratio=float(em_ratio.estimate[g]),
                em_ratio_se=float(em_ratio.se[g]),
            )
        )
    return found


def _sums(block: VariantFigures, edges: Doubles) -> Doubles:
    """Number, z^2, its expectation, E[b^2] and f of a block, by group [5, groups]."""
    group = np.searchsorted(edges, block.f, side="left")
    columns = (
        np.ones(len(block.f)),
        block.z_squared,
        block.expected,
        block.second_moment,
        block.f,
    )
    return np.stack([np.bincount(group, values, len(edges) + 1) for values in columns])


def normal_quantiles(residuals: npt.NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Points of a normal quantile plot, at most 1,000 of them and the extremes always.

    Args:
        residuals: Values that should be N(0, 1) [m].

    Returns:
        Expected and observed quantiles [points].
    """
    ordered = np.sort(np.asarray(residuals, np.float64))
    m = len(ordered)
    rows = np.unique(np.linspace(0, max(0, m - 1), min(m, _MAX_POINTS)).astype(int))
    normal = NormalDist()
    expected = np.array([normal.inv_cdf((row + 0.5) / m) for row in rows.tolist()], np.float64)
    return expected, ordered[rows]


@dataclass(frozen=True)
class Enrichment:
    """How much larger the prior variance is where an annotation is not 0.

    Attributes:
        annotation: Its name.
        n: Variants where it is there and not 0.
        share: Their share of all variants.
        mean_f: Their mean prior variance.
        enrichment: Over the mean of all variants.
        se: Standard error over blocks.
    """

    annotation: str
    n: int
    share: float
    mean_f: float
    enrichment: float
    se: float


def enrichment_sums(f: Doubles, annotations: npt.NDArray[Any]) -> Doubles:
    """What a block adds to `enrichments`.

    Args:
        f: Prior variance [m].
        annotations: Raw annotations, NaN where missing [m, A].

    Returns:
        Number of variants and sum of f, of all and of those with each annotation [2, 1 + A].
    """
    inside = np.nan_to_num(annotations) != 0
    all_of_them = np.ones((len(f), 1))
    masks = np.concatenate([all_of_them, inside], axis=1)
    return np.stack([masks.sum(axis=0), f @ masks])


def enrichments(
    names: tuple[str, ...], sums: list[Doubles], deleted: Groups | None = None
) -> list[Enrichment]:
    """The model's enrichment of every annotation that some variant has.

    Args:
        names: Annotations [A].
        sums: `enrichment_sums` of every block.
        deleted: Group of each block, as in `jackknife.jackknife`.
    """
    if not (names and sums):
        return []

    def relative(total: Doubles) -> Doubles:
        means = ratio(total[::-1])
        return np.asarray(means[1:] / means[0])

    table = np.stack(sums)
    found = jackknife(table, relative, deleted)
    n, f = table.sum(axis=0)
    return [
        Enrichment(
            annotation=name,
            n=int(n[column]),
            share=float(n[column] / n[0]),
            mean_f=float(f[column] / n[column]),
            enrichment=float(found.estimate[column - 1]),
            se=float(found.se[column - 1]),
        )
        for column, name in enumerate(names, start=1)
        if n[column]
    ]
