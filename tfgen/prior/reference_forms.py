"""The published forms of the same likelihood, in the n variants: for tests and benchmarks only.

They are written from the formulas of Amin, Potapczynski and Wilson (2025, arXiv 2506.19598) and of
what their programs compute, each as a plain function of TensorFlow tensors that automatic
differentiation goes through. R [n, n] is the LD of all variants of a window, `w` [m] the indices of
the observed ones, z [m] their z-scores. `eigh` may replace TensorFlow's eigendecomposition by a
faster one.

What they differ in:

    mle_chol   A = (R F R + sigma R + eps I)_ww, m x m
    wasp       A = (R F R + eps I)_ww: the noise sigma R is missing
    wasp_new   R_w: F R_:w + sigma R_ww on the kept eigenvalues of R_ww, through a matrix n x n
    wasp_pre   the same with R_ww + eps I instead of a pseudo-inverse
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfgen.prior.likelihood import Tensor

Eigh = Callable[[Tensor], tuple[Tensor, Tensor]]

EPS = 1e-4  # of the published configurations


class Window(NamedTuple):
    """The parts of a window that do not depend on the prior.

    Attributes:
        W: R_:w R_ww^+ R_w:, [n, n].
        v: R_:w R_ww^+ z, [n].
        eigenvalues: Those of R_ww that were kept, [k].
        quadratic: z'R_ww^+ z.
    """

    W: Tensor
    v: Tensor
    eigenvalues: Tensor
    quadratic: Tensor


def decompose(
    R: Tensor, w: Tensor, z: Tensor, eps: float = EPS, eigh: Eigh | None = None
) -> Window:
    """The pseudo-inverse of R_ww and what follows from it."""
    rows = tf.gather(R, w)
    eigenvalues, vectors = (eigh or tf.linalg.eigh)(tf.gather(rows, w, axis=1))
    kept = tf.where(eigenvalues > eps)[:, 0]
    eigenvalues, vectors = tf.gather(eigenvalues, kept), tf.gather(vectors, kept, axis=1)
    inverse = tf.matmul(vectors / eigenvalues, vectors, transpose_b=True)
    left = tf.matmul(rows, inverse, transpose_a=True)
    z = tf.convert_to_tensor(z, R.dtype)
    return Window(
        W=tf.matmul(left, rows),
        v=tf.linalg.matvec(left, z),
        eigenvalues=eigenvalues,
        quadratic=tf.tensordot(z, tf.linalg.matvec(inverse, z), 1),
    )


def wasp_new(logf: Tensor, log_sigma: Tensor, window: Window) -> Tensor:
    """Minus the log-likelihood ratio against no effects, through B = I + F^½ W F^½ / sigma.

    -LLR = ½[log|B| - v'(W + sigma F^-1)^-1 v / sigma].
    """
    sigma, root = tf.exp(log_sigma), tf.exp(0.5 * logf)
    scaled = root[:, tf.newaxis] * window.W * root / sigma
    factor = tf.linalg.cholesky(tf.linalg.set_diag(scaled, tf.linalg.diag_part(scaled) + 1.0))
    u = tf.linalg.triangular_solve(factor, (root * window.v)[:, tf.newaxis])[:, 0]
    log_det = 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)))
    return 0.5 * (log_det - tf.reduce_sum(tf.square(u)) / tf.square(sigma))


def wasp_new_nll(logf: Tensor, log_sigma: Tensor, window: Window) -> Tensor:
    """The full negative log-likelihood of the whitened z-scores: `wasp_new` plus the null."""
    k = tf.cast(tf.size(window.eigenvalues), logf.dtype)
    null = window.quadratic / tf.exp(log_sigma) + k * (log_sigma + math.log(2.0 * math.pi))
    return wasp_new(logf, log_sigma, window) + 0.5 * null


def mle_chol(
    logf: Tensor, log_sigma: Tensor, R: Tensor, w: Tensor, z: Tensor, eps: float = EPS
) -> Tensor:
    """½[z'A^-1 z + log|A| + m log 2 pi] with A = (R F R + sigma R + eps I)_ww."""
    rows = tf.gather(R, w)
    noise = tf.exp(log_sigma) * tf.gather(rows, w, axis=1)
    return _gaussian(_effects(rows, logf) + noise, z, eps)


def wasp(logf: Tensor, R: Tensor, w: Tensor, z: Tensor, eps: float = EPS) -> Tensor:
    """½[z'A^-1 z + log|A| + m log 2 pi] with A = (R F R + eps I)_ww, which lacks the noise."""
    return _gaussian(_effects(tf.gather(R, w), logf), z, eps)


def wasp_pre(
    logf: Tensor, log_sigma: Tensor, R: Tensor, w: Tensor, z: Tensor, eps: float = EPS
) -> Tensor:
    """½[z'A^-1 z + log|A|] with A = R_w: F R_:w + sigma (R_ww + eps I), through sigma F^-1 + U.

    U = R_:w (R_ww + eps I)^-1 R_w: is n x n, and
    log|A| = log|sigma (sigma F^-1 + U)| + log|R_ww + eps I| + sum log f + (m - 2n) log sigma.
    """
    sigma = tf.exp(log_sigma)
    rows = tf.gather(R, w)
    centre = tf.gather(rows, w, axis=1)
    factor = tf.linalg.cholesky(centre + eps * tf.eye(tf.size(w), dtype=R.dtype))
    left = tf.linalg.cholesky_solve(factor, rows)
    z = tf.convert_to_tensor(z, R.dtype)
    solved = tf.linalg.cholesky_solve(factor, z[:, tf.newaxis])[:, 0]
    matrix = sigma * (
        tf.linalg.diag(sigma * tf.exp(-logf)) + tf.matmul(rows, left, transpose_a=True)
    )
    big = tf.linalg.cholesky(matrix)
    v = tf.linalg.matvec(left, z, transpose_a=True)
    u = tf.linalg.triangular_solve(big, v[:, tf.newaxis])[:, 0]
    n, m = (tf.cast(tf.size(x), R.dtype) for x in (logf, w))
    log_det = _log_det(big) + _log_det(factor) + tf.reduce_sum(logf) + (m - 2.0 * n) * log_sigma
    return 0.5 * (tf.tensordot(z, solved, 1) / sigma - tf.reduce_sum(tf.square(u)) + log_det)


def _effects(rows: Tensor, logf: Tensor) -> Tensor:
    return tf.matmul(rows * tf.exp(logf), rows, transpose_b=True)


def _gaussian(covariance: Tensor, z: Tensor, eps: float) -> Tensor:
    """Negative log-density of z under N(0, covariance + eps I)."""
    z = tf.convert_to_tensor(z, covariance.dtype)
    m = tf.size(z)
    factor = tf.linalg.cholesky(covariance + eps * tf.eye(m, dtype=covariance.dtype))
    u = tf.linalg.triangular_solve(factor, z[:, tf.newaxis])
    constant = tf.cast(m, z.dtype) * math.log(2.0 * math.pi)
    return 0.5 * (tf.reduce_sum(tf.square(u)) + _log_det(factor) + constant)


def _log_det(factor: Tensor) -> Tensor:
    return 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)))
