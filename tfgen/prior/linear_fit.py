"""Maximum likelihood of a log-linear prior, log f = X c, by Fisher scoring, with standard errors.

For few coefficients: enrichments of annotations and how sure they are. With g = d nll / d log f and
H the expected information of log f, the score of c is X'g and its information X'HX, summed over
blocks; the inverse of the latter at the optimum is the covariance of the estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import InputMismatchError, NumericalError
from tfgen.prior.likelihood import Tensor, block_terms
from tfgen.prior.posterior import fisher_information

Doubles = npt.NDArray[np.float64]

_MAX_STEPS = 100
_DECREMENT = 1e-9
_LONGEST_STEP = 2.0
_HALVINGS = 30
_SMALLEST_RECIPROCAL_CONDITION = 1e-12


@dataclass(frozen=True)
class LinearFit:
    """A log-linear prior.

    Attributes:
        coef: c [p].
        covariance: Of c, the inverse of the expected information [p, p].
        nll: Full negative log-likelihood of all blocks.
        converged: Whether the last step promised less than 1e-9 of log-likelihood; False where
            the likelihood rises without end, as for a category without any effect.
    """

    coef: Doubles
    covariance: Doubles
    nll: float
    converged: bool

    @property
    def standard_errors(self) -> Doubles:
        """Of c [p]."""
        return np.sqrt(np.diag(self.covariance))


def fit_log_linear(
    blocks: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    designs: Sequence[npt.NDArray[Any]],
    sigma: float = 1.0,
    start: Sequence[float] | None = None,
) -> LinearFit:
    """Fits log f = X c to blocks. The information of a block takes n x n entries while it is used.

    Args:
        blocks: Q [k, n] and y [k] of every block, as in `likelihood.block_nll`.
        designs: X of every block [n, p]; a column of ones is the intercept.
        sigma: Noise on the z scale, known.
        start: Where the search starts [p]; zeros by default.

    Raises:
        InputMismatchError: Blocks and designs do not fit each other.
        NumericalError: The data do not tell some coefficients apart, or the likelihood is not
            finite where the search starts.
    """
    rows = [np.asarray(design, np.float64) for design in designs]
    _check_sizes(blocks, rows)
    data = [(np.asarray(q, np.float64), np.asarray(y, np.float64)) for q, y in blocks]
    log_sigma = np.log(np.float64(sigma))
    c = np.zeros(rows[0].shape[1]) if start is None else np.array(start, np.float64)
    nll = _nll(c, data, rows, log_sigma)
    if not np.isfinite(nll):
        raise NumericalError(f"the likelihood of the start is {nll}; check the LD and the start")
    for _ in range(_MAX_STEPS):
        score, information = _derivatives(c, data, rows, log_sigma)
        covariance = _inverse(information)
        step = -covariance @ score
        if -score @ step < 2.0 * _DECREMENT:
            return LinearFit(c, covariance, nll, True)
        longest = max(float(np.abs(x @ step).max(initial=0.0)) for x in rows)
        step *= min(1.0, _LONGEST_STEP / longest)
        moved = _line_search(c, step, nll, (data, rows, log_sigma))
        if moved is None:
            break
        c, nll = moved
    _, information = _derivatives(c, data, rows, log_sigma)
    return LinearFit(c, _inverse(information), nll, False)


def _line_search(
    c: Doubles, step: Doubles, nll: float, problem: tuple[Any, ...]
) -> tuple[Doubles, float] | None:
    """The longest of the halved steps that gains; None if there is none."""
    for halvings in range(_HALVINGS):
        trial = c + step / 2**halvings
        value = _nll(trial, *problem)
        if value < nll:
            return trial, value
    return None


def _nll(c: Doubles, data: Any, rows: Sequence[Doubles], log_sigma: np.float64) -> float:
    parts = (_value(x @ c, log_sigma, q, y) for (q, y), x in zip(data, rows, strict=True))
    return float(sum(float(part) for part in parts))


def _derivatives(
    c: Doubles, data: Any, rows: Sequence[Doubles], log_sigma: np.float64
) -> tuple[Doubles, Doubles]:
    """Score [p] and information [p, p] of the coefficients."""
    score, information = np.zeros(len(c)), np.zeros((len(c), len(c)))
    for (q, y), x in zip(data, rows, strict=True):
        slope, curvature = _slope_and_information(x @ c, log_sigma, q, y, x)
        score += slope.numpy()
        information += curvature.numpy()
    return score, information


@tf.function(reduce_retracing=True, autograph=False)
def _value(logf: Tensor, log_sigma: Tensor, q: Tensor, y: Tensor) -> Tensor:
    return block_terms(logf, log_sigma, q, y).nll


@tf.function(reduce_retracing=True, autograph=False)
def _slope_and_information(
    logf: Tensor, log_sigma: Tensor, q: Tensor, y: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    slope = tf.linalg.matvec(x, block_terms(logf, log_sigma, q, y).d_logf, transpose_a=True)
    information = tf.matmul(fisher_information(logf, log_sigma, q, y), x)
    return slope, tf.matmul(x, information, transpose_a=True)


def _inverse(information: Doubles) -> Doubles:
    """The covariance; scaled first, so that units of annotations do not matter."""
    scale = np.sqrt(np.diag(information))
    scale[~(scale > 0)] = np.nan
    scaled = information / scale / scale[:, None]
    values = np.linalg.eigvalsh(scaled) if np.isfinite(scaled).all() else np.zeros(1)
    if not values[0] > _SMALLEST_RECIPROCAL_CONDITION * values[-1]:
        raise NumericalError(
            "the data do not tell the coefficients of the design apart; leave out columns that "
            "are constant, zero or sums of others"
        )
    return np.asarray(np.linalg.inv(scaled) / scale / scale[:, None])


def _check_sizes(blocks: Sequence[tuple[Any, Any]], rows: Sequence[Doubles]) -> None:
    if not blocks or len(blocks) != len(rows):
        raise InputMismatchError(
            f"{len(blocks)} blocks and {len(rows)} designs; expected one design per block"
        )
    n_columns = rows[0].shape[-1]
    for i, ((q, y), x) in enumerate(zip(blocks, rows, strict=True)):
        if q.shape != (len(y), len(x)) or x.shape != (len(x), n_columns):
            raise InputMismatchError(
                f"block {i}: Q {q.shape}, y {y.shape}, design {x.shape}; expected [k, n], [k], "
                f"[n, {n_columns}]"
            )
