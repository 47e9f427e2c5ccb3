"""Posterior of the joint effects of a block, given the prior variances.

With b ~ N(0, diag(f)) on the z scale and y = Q b + noise of variance sigma,

    E[b | y] = f t,    Var[b_i | y] = f_i - f_i^2 s_i,    E[b_i^2 | y] = mean^2 + variance,

t = Q'K^-1 y and s_i = (Q'K^-1 Q)_ii as in `likelihood`. With a constant f this is rrBLUP or
LDpred-inf (Vilhjalmsson et al., 2015, doi:10.1016/j.ajhg.2015.09.001).
"""

from typing import NamedTuple

import tensorflow as tf

from tfgen.prior.likelihood import BlockTerms, Tensor, block_terms


class Posterior(NamedTuple):
    """Moments of the joint effects b = sqrt(N) beta of standardised genotypes; leading batch axes.

    Attributes:
        mean: E[b | y], [n].
        variance: Var[b_i | y], [n].
        second_moment: E[b_i^2 | y], [n].
    """

    mean: Tensor
    variance: Tensor
    second_moment: Tensor


def block_posterior(
    logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor, rank: Tensor | None = None
) -> Posterior:
    """Posterior moments of every variant of a block; arguments as `likelihood.block_nll`."""
    return posterior_of(logf, block_terms(logf, log_sigma, Q, y, rank))


def posterior_of(logf: Tensor, terms: BlockTerms) -> Posterior:
    """Posterior moments from the terms of the likelihood at the same `logf` [..., n]."""
    f = tf.exp(tf.convert_to_tensor(logf, terms.s.dtype))
    mean = f * terms.t
    # 0 <= f s < 1 in exact arithmetic.
    variance = f * tf.maximum(1.0 - f * terms.s, 0.0)
    return Posterior(mean, variance, tf.square(mean) + variance)


def fisher_information(logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor) -> Tensor:
    """Expected Fisher information of log f: H_ij = f_i f_j (Q'K^-1 Q)_ij^2 / 2.

    The matrix has n x n entries: for blocks whose n fits. For a linear model log f = X b the
    information of b is X'H X.

    Args:
        logf: Log prior variance [..., n].
        log_sigma: Log noise [...].
        Q: Whitened LD [..., k, n].
        y: Whitened z-scores [..., k]; not used, the information is an expectation.

    Returns:
        Information [..., n, n].
    """
    del y
    Q = tf.convert_to_tensor(Q)
    f = tf.exp(tf.convert_to_tensor(logf, Q.dtype))
    sigma = tf.exp(tf.convert_to_tensor(log_sigma, Q.dtype))
    scaled = Q * tf.sqrt(f)[..., tf.newaxis, :]
    kernel = tf.matmul(scaled, scaled, transpose_b=True)
    kernel = tf.linalg.set_diag(kernel, tf.linalg.diag_part(kernel) + sigma[..., tf.newaxis])
    whitened = tf.linalg.triangular_solve(tf.linalg.cholesky(kernel), scaled)
    return 0.5 * tf.square(tf.matmul(whitened, whitened, transpose_a=True))
