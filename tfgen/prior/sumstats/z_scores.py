"""z-scores from whatever a summary-statistics file gives."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.prior.sumstats.sumstats_numbers import Floats, Mask

_EXACT_DOWN_TO: Final = -650.0  # ln of the tail probability; a float ends at -745
_STEPS = 6
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Effects:
    """What is known about the effects of variants; NaN where it is not.

    Attributes:
        z: z-score [n].
        beta: Effect or log odds ratio [n].
        se: Its standard error, above 0 [n].
        chisq: Chi-squared statistic of a test with one degree of freedom [n].
        log_p: ln P of a two-sided test, -inf where P is 0 [n].
    """

    z: Floats
    beta: Floats
    se: Floats
    chisq: Floats
    log_p: Floats


def z_scores(effects: Effects) -> tuple[Floats, Mask]:
    """The z-score of every variant from the best source that it has.

    In this order: the z-score itself; sign(beta) sqrt(chisq); beta / se; P with the sign of beta.

    Returns:
        z [n], NaN where no source is complete and infinite on overflow, and whether the sign is
        missing, because a statistic other than 0 comes with an effect of 0 [n].
    """
    sign = np.sign(effects.beta)
    z = effects.z.copy()
    no_sign = np.zeros(len(z), bool)
    rows = np.flatnonzero(np.isnan(z) & ~np.isnan(effects.chisq))
    _fill(z, no_sign, rows, sign, np.sqrt(effects.chisq[rows]))
    rows = np.flatnonzero(np.isnan(z))
    with np.errstate(over="ignore", under="ignore"):
        z[rows] = effects.beta[rows] / effects.se[rows]
    rows = np.flatnonzero(np.isnan(z) & np.isfinite(effects.log_p))
    _fill(z, no_sign, rows, sign, abs_z_from_log_p(effects.log_p[rows]))
    return z, no_sign


def abs_z_from_log_p(log_p: Floats) -> Floats:
    """The |z| of which ln P is the two-sided P value: the inverse of ln P = ln 2 + ln Q(|z|).

    Q is the upper tail of the standard normal distribution. Where Q has no float, Newton's method
    solves for z with the asymptotic expansion
    ln Q(z) = -z^2/2 - ln(z sqrt(2 pi)) + ln(1 - 1/z^2 + 3/z^4 - 15/z^6 + 105/z^8)
    (Abramowitz and Stegun 1964, 26.2.12), whose error is below 1e-13 there (z > 35).

    Args:
        log_p: ln P [n], at most 0; NaN stays NaN.

    Returns:
        |z| [n]; infinite where P is 0.
    """
    tail = log_p - math.log(2)
    inverse = NormalDist().inv_cdf
    z = np.full(len(tail), np.nan)
    usual = np.flatnonzero(tail > _EXACT_DOWN_TO)
    z[usual] = [-inverse(q) for q in np.exp(tail[usual]).tolist()]
    far = np.flatnonzero(tail <= _EXACT_DOWN_TO)
    z[far] = _far(tail[far])
    return np.maximum(z, 0)


def _fill(
    z: Floats, no_sign: Mask, rows: npt.NDArray[np.int64], sign: Floats, size: Floats
) -> None:
    """Gives some rows the z-score of this size and the sign of their effect."""
    z[rows] = sign[rows] * size
    no_sign[rows] = (sign[rows] == 0) & (size > 0)


def _far(tail: Floats) -> Floats:
    z = np.sqrt(-2 * tail)
    finite = np.isfinite(z)
    x, target = z[finite], tail[finite]
    for _ in range(_STEPS):
        series = np.polynomial.polynomial.polyval(x**-2.0, [1, -1, 3, -15, 105])
        log_q = -(x**2) / 2 - np.log(x) - _LOG_SQRT_2PI + np.log(series)
        # The slope of ln Q is -(density / Q), which is -x to first order.
        x = x + (log_q - target) / (x + 1 / x)
    z[finite] = x
    return z
