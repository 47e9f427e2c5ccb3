"""The block jackknife: standard errors of sums over blocks that are nearly independent.

Deleting one block after the other, the statistic of the rest varies as much as the statistic of
new data would (Kunsch 1989, doi:10.1214/aos/1176347265):

    se^2 = (B - 1) / B sum_b (theta_-b - mean of theta_-b)^2
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError

Doubles = npt.NDArray[np.float64]


class Jackknifed(NamedTuple):
    """A statistic with its standard error; arrays where the statistic is one.

    Attributes:
        estimate: Of all blocks.
        se: Standard error; NaN with fewer than two blocks.
    """

    estimate: Any
    se: Any


@dataclass(frozen=True)
class Interval:
    """A number with its standard error and its 95 % interval.

    Attributes:
        estimate: The number.
        se: Standard error; NaN with fewer than two blocks.
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


def jackknife(sums: npt.NDArray[Any], statistic: Callable[[Doubles], Any]) -> Jackknifed:
    """A statistic of sums over blocks.

    Args:
        sums: What each block adds [blocks, ...].
        statistic: From the total [...] to the statistic.

    Raises:
        UsageError: There is no block.
    """
    values = np.asarray(sums, np.float64)
    if not len(values):
        raise UsageError("no blocks to take a standard error over; give at least two")
    total = values.sum(axis=0)
    estimate = np.asarray(statistic(total), np.float64)
    if len(values) == 1:
        return Jackknifed(estimate, np.full_like(estimate, np.nan))
    left = np.stack([np.asarray(statistic(total - value), np.float64) for value in values])
    spread = np.sum((left - left.mean(axis=0)) ** 2, axis=0)
    return Jackknifed(estimate, np.sqrt((len(values) - 1) / len(values) * spread))


def block_jackknife(totals: npt.NDArray[Any], weights: npt.NDArray[Any]) -> tuple[float, float]:
    """A ratio of sums over blocks, and its standard error.

    Args:
        totals: Numerator of every block [blocks].
        weights: Denominator of every block [blocks].

    Returns:
        sum(totals) / sum(weights), and its standard error: NaN with fewer than two blocks.

    Raises:
        UsageError: There is no block, or not one weight for each total.
    """
    if np.shape(totals) != np.shape(weights) or np.ndim(totals) != 1:
        raise UsageError(
            f"{np.shape(totals)} totals with {np.shape(weights)} weights; expected one of each "
            "for every block"
        )
    found = jackknife(np.stack([totals, weights], axis=1), ratio)
    return float(found.estimate), float(found.se)


def ratio(sums: Doubles) -> Doubles:
    """The first of two sums [2, ...] over the second; NaN where that is 0."""
    top, bottom = sums[0], sums[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom != 0, top / bottom, np.nan))


def interval(totals: npt.NDArray[Any], weights: npt.NDArray[Any]) -> Interval:
    """A ratio of sums over blocks with its 95 % interval by Student's t, B - 1 degrees of freedom.

    Raises:
        UsageError: As `block_jackknife`.
    """
    estimate, se = block_jackknife(totals, weights)
    reach = se * student_quantile(0.975, len(totals) - 1) if len(totals) > 1 else math.nan
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
