"""The block jackknife: standard errors of sums over blocks that are nearly independent.

Deleting one group of blocks after the other, the statistic of the rest varies as much as the
statistic of new data would (Kunsch 1989, doi:10.1214/aos/1176347265):

    se^2 = (G - 1) / G sum_g (theta_-g - mean of theta_-g)^2

Sliding windows are not independent of their neighbours; groups of several in a row nearly are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError
from tfgen.prior.training.prior_folder import Stretch

Doubles = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int64]

MOST_GROUPS = 200
"""More give no better standard error."""

LEAST_WINDOWS = 3
"""Sliding windows in a group."""


class Jackknifed(NamedTuple):
    """A statistic with its standard error; arrays where the statistic is one.

    Attributes:
        estimate: Of all blocks.
        se: Standard error; NaN with fewer than two groups.
    """

    estimate: Any
    se: Any


@dataclass(frozen=True)
class Interval:
    """A number with its standard error and its 95 % interval.

    Attributes:
        estimate: The number.
        se: Standard error; NaN with fewer than two groups.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    estimate: float
    se: float
    low: float
    high: float

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is above zero; an unknown one is not."""
        return self.low > 0


def block_groups(blocks: Sequence[Stretch]) -> Groups:
    """The number of the group of every block [blocks], groups being contiguous in the genome.

    Blocks that overlap are of one group or of two neighbouring ones, and a group has at least
    `LEAST_WINDOWS`. Where no blocks overlap, each is a group, up to `MOST_GROUPS`.
    """
    chroms = {chrom: i for i, chrom in enumerate(dict.fromkeys(b.chrom for b in blocks))}
    order = sorted(range(len(blocks)), key=lambda i: (chroms[blocks[i].chrom], blocks[i].start))
    reach = 0
    for row, index in enumerate(order):
        here, behind = blocks[index], row + 1
        while behind < len(order) and _reaches(here, blocks[order[behind]]):
            behind += 1
        reach = max(reach, behind - 1 - row)
    least = max(LEAST_WINDOWS, reach) if reach else 1
    n_groups = max(1, min(MOST_GROUPS, len(blocks) // least))
    groups = np.empty(len(blocks), np.int64)
    groups[order] = np.arange(len(blocks)) * n_groups // max(1, len(blocks))
    return groups


def _reaches(one: Stretch, later: Stretch) -> bool:
    return one.chrom == later.chrom and later.start < one.end


def jackknife(
    sums: npt.NDArray[Any], statistic: Callable[[Doubles], Any], groups: Groups | None = None
) -> Jackknifed:
    """A statistic of sums over blocks.

    Args:
        sums: What each block adds [blocks, ...].
        statistic: From the total [...] to the statistic.
        groups: The group of each block [blocks]; each its own by default.

    Raises:
        UsageError: There is no block.
    """
    values = _by_group(np.asarray(sums, np.float64), groups)
    if not len(values):
        raise UsageError("no blocks to take a standard error over; give at least two")
    total = values.sum(axis=0)
    estimate = np.asarray(statistic(total), np.float64)
    if len(values) == 1:
        return Jackknifed(estimate, np.full_like(estimate, np.nan))
    left = np.stack([np.asarray(statistic(total - value), np.float64) for value in values])
    spread = np.sum((left - left.mean(axis=0)) ** 2, axis=0)
    return Jackknifed(estimate, np.sqrt((len(values) - 1) / len(values) * spread))


def _by_group(values: Doubles, groups: Groups | None) -> Doubles:
    """Sums over the blocks of every group [groups, ...]."""
    if groups is None:
        return values
    _, number = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(number.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(sums, number, values)
    return sums


def block_jackknife(
    totals: npt.NDArray[Any], weights: npt.NDArray[Any], groups: Groups | None = None
) -> tuple[float, float]:
    """A ratio of sums over blocks, and its standard error.

    Args:
        totals: Numerator of every block [blocks].
        weights: Denominator of every block [blocks].
        groups: As in `jackknife`.

    Returns:
        sum(totals) / sum(weights), and its standard error: NaN with fewer than two groups.

    Raises:
        UsageError: There is no block, or not one weight for each total.
    """
    if np.shape(totals) != np.shape(weights) or np.ndim(totals) != 1:
        raise UsageError(
            f"{np.shape(totals)} totals with {np.shape(weights)} weights; expected one of each "
            "for every block"
        )
    found = jackknife(np.stack([totals, weights], axis=1), ratio, groups)
    return float(found.estimate), float(found.se)


def ratio(sums: Doubles) -> Doubles:
    """The first of two sums [2, ...] over the second; NaN where that is 0."""
    top, bottom = sums[0], sums[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom != 0, top / bottom, np.nan))


def interval(
    totals: npt.NDArray[Any], weights: npt.NDArray[Any], groups: Groups | None = None
) -> Interval:
    """A ratio of sums over blocks with its 95 % interval by Student's t, G - 1 degrees of freedom.

    Raises:
        UsageError: As `block_jackknife`.
    """
    estimate, se = block_jackknife(totals, weights, groups)
    n_groups = len(totals) if groups is None else len(np.unique(groups))
    reach = se * student_quantile(0.975, n_groups - 1) if n_groups > 1 else math.nan
    return Interval(estimate, se, estimate - reach, estimate + reach)


def student_quantile(p: float, df: int) -> float:
    """The quantile of Student's t with `df` degrees of freedom, for p from 1/2 to below 1."""
    import tensorflow as tf

    def upper_tail(t: float) -> float:
        x = tf.constant(df / (df + t * t), tf.float64)
        half = tf.constant(0.5, tf.float64)
        return 0.5 * float(tf.math.betainc(df * half, half, x))

    low, high = 0.0, 1.0
    while upper_tail(high) > 1 - p:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle) > 1 - p else (low, middle)
    return (low + high) / 2
