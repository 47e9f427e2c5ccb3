"""What the coefficients of conjugate gradients say about functions of the matrix.

Steps alpha_j and beta_j of conjugate gradients on A started at zero are the Cholesky factors of the
tridiagonal matrix T that a Lanczos process of A finds from the normalised right-hand side:
T_jj = 1/alpha_j + beta_{j-1}/alpha_{j-1} and T_{j,j+1} = sqrt(beta_j)/alpha_j. With a
preconditioner M = S S', T belongs to S^-1 A S^-T and the start S^-1 b (Saad, Iterative Methods for
Sparse Linear Systems, section 6.7.3).
"""

from collections.abc import Callable

import tensorflow as tf


def tridiagonal(alpha: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """The matrices T of all columns.

    Args:
        alpha: Step lengths, `[..., T, m]`; 1 after a column has stopped.
        beta: Direction coefficients, `[..., T, m]`; 0 from the step that stopped on. The last one
            is not used.

    Returns:
        `[..., m, T, T]`. Below the steps that a column took stands the identity, which nothing
        connects to the part above it.
    """
    alpha, beta = tf.linalg.matrix_transpose(alpha), tf.linalg.matrix_transpose(beta)
    inverse = 1 / alpha
    carried = tf.concat([tf.zeros_like(beta[..., :1]), (beta * inverse)[..., :-1]], axis=-1)
    beside = (tf.sqrt(beta) * inverse)[..., :-1]
    diagonal = tf.linalg.diag(inverse + carried)
    if alpha.shape[-1] == 1:
        return diagonal
    return diagonal + tf.linalg.diag(beside, k=1) + tf.linalg.diag(beside, k=-1)


def quadrature(
    alpha: tf.Tensor, beta: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """e1' function(T) e1: the Gauss quadrature of v' function(A) v / v'v (Golub and Meurant 1994).

    Exact after as many steps as the start v has components in different eigenspaces; before that
    an upper bound for the logarithm, whose error falls geometrically with the steps. The
    eigenvalues are computed in float64: the matrices are small, and theirs are positive by
    construction only up to rounding.

    Under XLA:CPU `tf.linalg.eigh` is iterative, slow to compile and less exact: call this outside
    functions compiled with `jit_compile=True`.

    Args:
        alpha: `[..., T, m]` with T >= 1.
        beta: `[..., T, m]`.
        function: Applied to the eigenvalues, elementwise.

    Returns:
        float64 `[..., m]`; NaN where `alpha` or `beta` are not finite (a column that broke down).
    """
    alpha, beta = tf.cast(alpha, tf.float64), tf.cast(beta, tf.float64)
    usable = tf.reduce_all(tf.math.is_finite(alpha) & tf.math.is_finite(beta), axis=-2)
    every = usable[..., tf.newaxis, :]
    alpha = tf.where(every, alpha, tf.ones_like(alpha))
    beta = tf.where(every, beta, tf.zeros_like(beta))
    values, vectors = tf.linalg.eigh(tridiagonal(alpha, beta))
    result = tf.reduce_sum(vectors[..., 0, :] ** 2 * function(values), axis=-1)
    return tf.where(usable, result, tf.constant(float("nan"), tf.float64))
