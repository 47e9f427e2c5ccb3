"""The likelihood of a block by conjugate gradients: for k too large to factorise.

Same quantities as `likelihood.block_terms`, estimated with m random probes. Nothing is left out:
the value holds the log-determinant (stochastic Lanczos quadrature), and f and sigma have all terms
of their gradients. The gradient of the log-determinant is unbiased up to the tolerance of the
solves; a single entry of s varies by about sqrt(2/m) of its size, so that `s` serves for training
and not for posterior variances.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.linalg.conjugate_gradient import conjugate_gradient
from tfgen.linalg.log_determinant import log_determinant
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import (
    Preconditioner,
    eigen,
    identity,
    jacobi,
    pivoted_cholesky,
)
from tfgen.linalg.probes import draw_probes, inverse_trace, projected_inverse_diagonal
from tfgen.prior.likelihood import Tensor

_LOG_2PI = math.log(2.0 * math.pi)

PreconditionerName = Literal["eigen", "jacobi", "pivchol", "none"]


@dataclass(frozen=True)
class CgOptions:
    """How exactly to solve.

    Attributes:
        probes: Random vectors, m.
        tolerance: Relative residual of the solves.
        max_iterations: Most iterations of a solve.
        preconditioner: `eigen` needs the eigenvalues of QQ'; `pivchol` a rank.
        pivots: Rank of `pivchol`.
        n_lanczos: Size of the tridiagonal matrices behind the log-determinant.
    """

    probes: int = 16
    tolerance: float = 1e-2
    max_iterations: int = 200
    preconditioner: PreconditionerName = "eigen"
    pivots: int = 15
    n_lanczos: int = 32


class CgTerms(NamedTuple):
    """Estimates of what `likelihood.BlockTerms` holds, and how the solves went.

    Attributes:
        nll: ½[y'K^-1 y + log|K| + k log 2 pi], a scalar.
        nll_error: Its standard error, from the probes.
        d_logf: d nll / d logf, [n].
        d_log_sigma: d nll / d log_sigma, a scalar.
        t: Q'K^-1 y, [n].
        solution: K^-1 y, [k]: where the next solve of this block may start.
        iterations: Most iterations of a column.
        converged: Whether all columns reached the tolerance.
    """

    nll: Tensor
    nll_error: Tensor
    d_logf: Tensor
    d_log_sigma: Tensor
    t: Tensor
    solution: Tensor
    iterations: Tensor
    converged: Tensor


class Gram(NamedTuple):
    """Eigenvalues [k] and, unless Q Q' is diagonal, eigenvectors [k, k] of Q Q'."""

    values: Tensor
    vectors: Tensor | None = None


def cg_terms(
    logf: Tensor,
    log_sigma: Tensor,
    Q: Tensor,
    y: Tensor,
    options: CgOptions,
    seed: Tensor,
    gram: Gram | None = None,
    initial: Tensor | None = None,
) -> CgTerms:
    """Value and gradients of one block.

    Args:
        logf: Log prior variance [n].
        log_sigma: Log noise, a scalar.
        Q: Whitened LD [k, n].
        y: Whitened z-scores [k].
        options: How exactly.
        seed: Two integers; the same seed draws the same probes.
        gram: For the preconditioner `eigen`.
        initial: A former `solution` to start from [k].

    Returns:
        The estimates, in the precision of Q; `nll` and `nll_error` in float64.

    Raises:
        UsageError: The preconditioner `eigen` without `gram`.
    """
    Q = tf.convert_to_tensor(Q)
    logf, log_sigma, y = (tf.convert_to_tensor(x, Q.dtype) for x in (logf, log_sigma, y))
    f, sigma = tf.exp(logf), tf.exp(log_sigma)
    operator = LowRankPlusNoise(Q, f, sigma)
    preconditioner = _preconditioner(operator, options, gram)
    probes = draw_probes(preconditioner, options.probes, seed)
    rhs = tf.concat([y[:, tf.newaxis], probes.vectors], 1)
    result = conjugate_gradient(
        operator,
        rhs,
        preconditioner,
        None if initial is None else initial[:, tf.newaxis],
        options.tolerance,
        options.max_iterations,
        min(options.n_lanczos, options.max_iterations),
    )
    a, solved = result.solution[:, 0], result.solution[:, 1:]
    log_det = log_determinant(result, probes, preconditioner)
    s = projected_inverse_diagonal(Q, probes, solved)
    t = tf.linalg.matvec(Q, a, transpose_a=True)
    # y'a + a'(y - K a): its error is quadratic in that of a, that of y'a linear.
    residual = y - operator.matvec(a)
    quadratic = tf.tensordot(y, a, 1) + tf.tensordot(a, residual, 1)
    trace = inverse_trace(probes, solved)
    k = tf.cast(tf.shape(Q)[0], tf.float64)
    return CgTerms(
        nll=0.5 * (tf.cast(quadratic, tf.float64) + log_det.value + k * _LOG_2PI),
        nll_error=0.5 * log_det.standard_error,
        d_logf=0.5 * f * (s - tf.square(t)),
        d_log_sigma=0.5 * sigma * (trace - tf.tensordot(a, a, 1)),
        t=t,
        solution=a,
        iterations=tf.reduce_max(result.iterations),
        converged=tf.reduce_all(result.converged),
    )


def _preconditioner(
    operator: LowRankPlusNoise, options: CgOptions, gram: Gram | None
) -> Preconditioner:
    if options.preconditioner == "eigen":
        if gram is None:
            raise UsageError("the preconditioner eigen needs the eigenvalues of QQ'; give gram")
        return eigen(gram.values, gram.vectors, operator.noise, tf.reduce_mean(operator.variances))
    if options.preconditioner == "pivchol":
        return pivoted_cholesky(operator, options.pivots)
    return jacobi(operator) if options.preconditioner == "jacobi" else identity(operator)
