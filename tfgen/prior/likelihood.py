"""The exact likelihood of the z-scores of one LD block, with closed-form gradients.

The model is z ~ N(0, R F R + sigma R) for the observed variants, F = diag(f) over all n variants of
the block. With R_ww = U diag(lambda) U' over the kept eigenvalues, Q = lambda^(-1/2) U' R_w: and
y = lambda^(-1/2) U' z_w it becomes

    y ~ N(0, K),    K = Q diag(f) Q' + sigma I_k,

which has the same likelihood ratio as the form in the n variants, but k rows. Since K >= sigma I,
single precision is safe. With K = L L', a = K^-1 y, t = Q' a and s_i = |L^-1 Q_:i|^2,

    d nll / d log f_i   = f_i (s_i - t_i^2) / 2
    d nll / d log sigma = sigma (tr K^-1 - a'a) / 2

(derivatives of log|K| and y'K^-1 y; the likelihood is that of Amin, Potapczynski and Wilson, 2025,
arXiv 2506.19598, section 3).

All functions take leading batch axes. A block is padded with columns of zeros in Q (any logf) and
with rows of zeros in Q and y; give its true number of rows as `rank`, and nothing changes. On a
GPU, switch TensorFloat-32 off: it rounds Q to ten bits.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.linalg.cholesky import checked_cholesky

Tensor: TypeAlias = Any

_LOG_2PI = math.log(2.0 * math.pi)


class BlockTerms(NamedTuple):
    """What one factorisation of K yields; leading batch axes are left out of the shapes.

    Attributes:
        nll: ½[y'K^-1 y + log|K| + k log 2 pi], a scalar.
        null: The same with f = 0, a scalar.
        s: (Q'K^-1 Q)_ii, [n].
        t: Q'K^-1 y, [n].
        d_logf: d nll / d logf, [n].
        d_log_sigma: d nll / d log_sigma, a scalar.
        d_log_sigma_null: d null / d log_sigma, a scalar.
        mahalanobis: y'K^-1 y, which is chi-square with k degrees of freedom under the model.
        whitened: L^-1 y, independent N(0, 1) under the model, [k].
        jitter: What had to be added to the diagonal of K, 0 if it factorised.
    """

    nll: Tensor
    null: Tensor
    s: Tensor
    t: Tensor
    d_logf: Tensor
    d_log_sigma: Tensor
    d_log_sigma_null: Tensor
    mahalanobis: Tensor
    whitened: Tensor
    jitter: Tensor


def block_nll(
    logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor, rank: Tensor | None = None
) -> Tensor:
    """The full negative log-likelihood of a block, to be minimised.

    Args:
        logf: Log prior variance of every variant on the z scale [..., n].
        log_sigma: Log noise on the z scale [...].
        Q: Whitened LD [..., k, n].
        y: Whitened z-scores [..., k].
        rank: Rows of the block without padding [...]; k if None.

    Returns:
        ½[y'K^-1 y + log|K| + k log 2 pi], [...]. It has gradients for `logf` and `log_sigma`, which
        cannot be differentiated again, and none for the data.

    Raises:
        UsageError: Shapes that do not fit each other.
    """
    return _with_gradient(logf, log_sigma, Q, y, rank, minus_null=False)


def block_llr(
    logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor, rank: Tensor | None = None
) -> Tensor:
    """Negative log-likelihood minus that of no effects at the same sigma.

    Below zero where the prior explains the data better than noise alone. To compare priors, not to
    choose sigma: a large sigma makes the null as bad as the model, so that the minimum over sigma
    says nothing. Use `block_nll` there.

    Args:
        logf: As in `block_nll`.
        log_sigma: As in `block_nll`.
        Q: As in `block_nll`.
        y: As in `block_nll`.
        rank: As in `block_nll`.

    Returns:
        block_nll(logf, ...) - block_nll(-infinity, ...), [...], with gradients as `block_nll`.

    Raises:
        UsageError: Shapes that do not fit each other.
    """
    return _with_gradient(logf, log_sigma, Q, y, rank, minus_null=True)


def block_terms(
    logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor, rank: Tensor | None = None
) -> BlockTerms:
    """Value, closed-form gradients and what the posterior needs, from one Cholesky factor.

    Args:
        logf: As in `block_nll`.
        log_sigma: As in `block_nll`.
        Q: As in `block_nll`.
        y: As in `block_nll`.
        rank: As in `block_nll`.

    Raises:
        UsageError: Shapes that do not fit each other.
    """
    Q = tf.convert_to_tensor(Q)
    logf, log_sigma, y = (tf.convert_to_tensor(x, Q.dtype) for x in (logf, log_sigma, y))
    _check_shapes(logf, Q, y)
    f, sigma = tf.exp(logf), tf.exp(log_sigma)
    k = tf.shape(Q)[-2]
    padding = _padding(k, rank, Q.dtype)
    scaled = Q * tf.sqrt(f)[..., tf.newaxis, :]
    kernel = tf.matmul(scaled, scaled, transpose_b=True)
    kernel = tf.linalg.set_diag(kernel, tf.linalg.diag_part(kernel) + sigma[..., tf.newaxis])
    factor, jitter = checked_cholesky(kernel)
    # L^-1 first: k^3/3 operations more, but then one dense product instead of a triangular solve
    # with n right-hand sides, which is slower on every device.
    identity = tf.eye(k, batch_shape=tf.shape(kernel)[:-2], dtype=Q.dtype)
    inverse = tf.linalg.triangular_solve(factor, identity)
    whitened = tf.linalg.matvec(inverse, y)
    a = tf.linalg.matvec(inverse, whitened, transpose_a=True)
    t = tf.linalg.matvec(Q, a, transpose_a=True)
    s = _squared_columns(tf.matmul(inverse, Q))
    mahalanobis = _sum_of_squares(whitened)
    log_det = 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)), -1)
    n_rows = tf.cast(k, Q.dtype) - padding
    trace = tf.reduce_sum(tf.square(inverse), (-2, -1)) - padding / sigma
    y_squared = _sum_of_squares(y)
    return BlockTerms(
        nll=0.5 * (mahalanobis + log_det - padding * log_sigma + n_rows * _LOG_2PI),
        null=0.5 * (y_squared / sigma + n_rows * (log_sigma + _LOG_2PI)),
        s=s,
        t=t,
        d_logf=0.5 * f * (s - tf.square(t)),
        d_log_sigma=0.5 * sigma * (trace - _sum_of_squares(a)),
        d_log_sigma_null=0.5 * (n_rows - y_squared / sigma),
        mahalanobis=mahalanobis,
        whitened=whitened,
        jitter=jitter,
    )


def _with_gradient(
    logf: Tensor, log_sigma: Tensor, Q: Tensor, y: Tensor, rank: Tensor | None, minus_null: bool
) -> Tensor:
    """The value, with the closed form in the place of automatic differentiation."""
    Q = tf.stop_gradient(tf.convert_to_tensor(Q))
    y = tf.stop_gradient(tf.convert_to_tensor(y, Q.dtype))

    @tf.custom_gradient
    def value(logf: Tensor, log_sigma: Tensor) -> tuple[Tensor, Any]:
        terms = block_terms(logf, log_sigma, Q, y, rank)
        null = terms.null if minus_null else tf.zeros_like(terms.nll)
        slope = terms.d_log_sigma_null if minus_null else tf.zeros_like(terms.nll)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            d_logf = upstream[..., tf.newaxis] * _once(terms.d_logf)
            d_log_sigma = upstream * _once(terms.d_log_sigma - slope)
            return _reduce_to(d_logf, logf), _reduce_to(d_log_sigma, log_sigma)

        return terms.nll - null, gradient

    return value(tf.convert_to_tensor(logf, Q.dtype), tf.convert_to_tensor(log_sigma, Q.dtype))


@tf.custom_gradient
def _once(x: Tensor) -> tuple[Tensor, Any]:
    """The identity, which cannot be differentiated: a wrong second derivative would be silent."""

    def gradient(*_: Tensor) -> Tensor:
        raise UsageError(
            "block_nll and block_llr have no second derivatives; use fisher_information"
        )

    return tf.identity(x), gradient


def _reduce_to(gradient: Tensor, argument: Tensor) -> Tensor:
    """Sums a gradient over the axes along which its argument was broadcast."""
    missing = len(gradient.shape) - len(argument.shape)
    gradient = tf.reduce_sum(gradient, list(range(missing)))
    axes = [i for i, size in enumerate(argument.shape) if size == 1 and gradient.shape[i] != 1]
    return tf.reduce_sum(gradient, axes, keepdims=True) if axes else gradient


def _padding(k: Tensor, rank: Tensor | None, dtype: tf.DType) -> Tensor:
    """Number of rows that hold nothing."""
    if rank is None:
        return tf.zeros((), dtype)
    return tf.cast(k, dtype) - tf.cast(rank, dtype)


def _sum_of_squares(x: Tensor) -> Tensor:
    return tf.reduce_sum(tf.square(x), -1)


def _squared_columns(x: Tensor) -> Tensor:
    """Squared norm of every column [..., k, n] -> [..., n]."""
    return tf.reduce_sum(tf.square(x), -2)


def _check_shapes(logf: Tensor, Q: Tensor, y: Tensor) -> None:
    k, n = Q.shape[-2:]
    if not (_fits(logf.shape[-1:], n) and _fits(y.shape[-1:], k)):
        raise UsageError(
            f"logf {tuple(logf.shape)}, Q {tuple(Q.shape)}, y {tuple(y.shape)}: expected "
            "[..., n], [..., k, n], [..., k]"
        )


def _fits(shape: Any, size: int | None) -> bool:
    return shape.rank == 1 and (None in (shape[0], size) or shape[0] == size)
