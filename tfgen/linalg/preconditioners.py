"""Matrices M close to sigma I + Q diag(f) Q' that are quick to invert."""

from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.pivoted_cholesky import pivoted_cholesky_factor


class Preconditioner(Protocol):
    """A positive definite M = S S', `[..., k, k]`, where S is `[..., k, q]` with q >= k.

    Attributes:
        dtype: Of everything it takes and gives.
    """

    @property
    def dtype(self) -> tf.DType:
        """The dtype."""
        ...

    def solve(self, x: tf.Tensor) -> tf.Tensor:
        """M^-1 x: `[..., k, m]` for `[..., k, m]`."""
        ...

    def multiply_factor(self, u: tf.Tensor) -> tf.Tensor:
        """S u: `[..., k, m]` for `[..., q, m]`."""
        ...

    def factor_shape(self) -> tf.Tensor:
        """`[..., q]` as an int32 vector: the batch shape and the columns of S."""
        ...

    def log_determinant(self) -> tf.Tensor:
        """Log |M|: `[...]`."""
        ...


@dataclass(frozen=True, eq=False)
class DiagonalPreconditioner:
    """M = diag(d).

    Attributes:
        diagonal: d > 0, `[..., k]`.
    """

    diagonal: tf.Tensor

    @property
    def dtype(self) -> tf.DType:
        """The dtype."""
        return self.diagonal.dtype

    def solve(self, x: tf.Tensor) -> tf.Tensor:
        """M^-1 x: `[..., k, m]`."""
        return x / self.diagonal[..., tf.newaxis]

    def multiply_factor(self, u: tf.Tensor) -> tf.Tensor:
        """d^1/2 u: `[..., k, m]`."""
        return u * tf.sqrt(self.diagonal)[..., tf.newaxis]

    def factor_shape(self) -> tf.Tensor:
        """`[..., k]`."""
        return tf.shape(self.diagonal)

    def log_determinant(self) -> tf.Tensor:
        """Log |M|: `[...]`."""
        return tf.reduce_sum(tf.math.log(self.diagonal), axis=-1)


@dataclass(frozen=True, eq=False)
class EigenPreconditioner:
    """M = V diag(d) V'.

    Attributes:
        diagonal: d > 0, `[..., k]`.
        vectors: V with V V' = I, `[..., k, k]`.
    """

    diagonal: tf.Tensor
    vectors: tf.Tensor

    @property
    def dtype(self) -> tf.DType:
        """The dtype."""
        return self.diagonal.dtype

    def solve(self, x: tf.Tensor) -> tf.Tensor:
        """M^-1 x: `[..., k, m]`, in 4 k^2 operations for each column."""
        inner = tf.matmul(self.vectors, x, transpose_a=True) / self.diagonal[..., tf.newaxis]
        return tf.matmul(self.vectors, inner)

    def multiply_factor(self, u: tf.Tensor) -> tf.Tensor:
        """V d^1/2 u: `[..., k, m]`."""
        return tf.matmul(self.vectors, u * tf.sqrt(self.diagonal)[..., tf.newaxis])

    def factor_shape(self) -> tf.Tensor:
        """`[..., k]`."""
        return tf.shape(self.diagonal)

    def log_determinant(self) -> tf.Tensor:
        """Log |M|: `[...]`."""
        return tf.reduce_sum(tf.math.log(self.diagonal), axis=-1)


@dataclass(frozen=True, eq=False)
class LowRankPreconditioner:
    """M = sigma I + L L'.

    Attributes:
        factor: L, `[..., k, r]`.
        noise: sigma > 0, `[...]`.
        capacitance: Lower Cholesky factor of sigma I + L'L, `[..., r, r]`.
    """

    factor: tf.Tensor
    noise: tf.Tensor
    capacitance: tf.Tensor

    @property
    def dtype(self) -> tf.DType:
        """The dtype."""
        return self.factor.dtype

    def solve(self, x: tf.Tensor) -> tf.Tensor:
        """M^-1 x = (x - L (sigma I + L'L)^-1 L'x) / sigma (Woodbury): `[..., k, m]`."""
        inner = tf.matmul(self.factor, x, transpose_a=True)
        inner = tf.linalg.cholesky_solve(self.capacitance, inner)
        return (x - tf.matmul(self.factor, inner)) / self.noise[..., tf.newaxis, tf.newaxis]

    def multiply_factor(self, u: tf.Tensor) -> tf.Tensor:
        """[sigma^1/2 I, L] u: `[..., k, m]` for `[..., k + r, m]`."""
        size = tf.shape(self.factor)[-2]
        noise = tf.sqrt(self.noise)[..., tf.newaxis, tf.newaxis]
        return noise * u[..., :size, :] + tf.matmul(self.factor, u[..., size:, :])

    def factor_shape(self) -> tf.Tensor:
        """`[..., k + r]`."""
        shape = tf.shape(self.factor)
        return tf.concat([shape[:-2], [shape[-2] + shape[-1]]], axis=0)

    def log_determinant(self) -> tf.Tensor:
        """Log |M| = (k - r) log sigma + log |sigma I + L'L|: `[...]`."""
        shape = tf.shape(self.factor)
        free = tf.cast(shape[-2] - shape[-1], self.dtype)
        inner = tf.math.log(tf.linalg.diag_part(self.capacitance))
        return free * tf.math.log(self.noise) + 2 * tf.reduce_sum(inner, axis=-1)


def identity(operator: tf.linalg.LinearOperator) -> DiagonalPreconditioner:
    """M = I, of the shape of `operator`: for probes that are plain random signs."""
    return DiagonalPreconditioner(tf.ones(operator.shape_tensor()[:-1], operator.dtype))


def jacobi(operator: tf.linalg.LinearOperator) -> DiagonalPreconditioner:
    """M = the diagonal of `operator`."""
    return DiagonalPreconditioner(operator.diag_part())


def eigen(
    values: tf.Tensor, vectors: tf.Tensor | None, noise: tf.Tensor, mean_variance: tf.Tensor
) -> DiagonalPreconditioner | EigenPreconditioner:
    """M = V diag(sigma + mean(f) l) V' = sigma I + mean(f) QQ', where QQ' = V diag(l) V'.

    This is the operator itself where all variances are equal, and V and l do not depend on the
    prior: decompose QQ' once. Where every variant is observed, Q = L^1/2 U' and QQ' = L is diagonal
    already; then V is not needed and M costs nothing.

    Args:
        values: Eigenvalues l >= 0 of QQ', `[..., k]`.
        vectors: Its eigenvectors, `[..., k, k]`, a column each; None if QQ' is diagonal.
        noise: sigma > 0, `[...]`.
        mean_variance: Mean of f, `[...]`.

    Returns:
        The preconditioner.
    """
    values = tf.convert_to_tensor(values)
    noise = tf.convert_to_tensor(noise, values.dtype)[..., tf.newaxis]
    mean_variance = tf.convert_to_tensor(mean_variance, values.dtype)[..., tf.newaxis]
    diagonal = noise + mean_variance * values
    if vectors is None:
        return DiagonalPreconditioner(diagonal)
    return EigenPreconditioner(diagonal, tf.convert_to_tensor(vectors, values.dtype))


def pivoted_cholesky(operator: LowRankPlusNoise, rank: int) -> LowRankPreconditioner:
    """M = sigma I + L L' with L L' close to Q diag(f) Q', by pivoted Cholesky of `rank` columns.

    Takes 4 k n `rank` operations; good where few directions carry most of the variance.

    Args:
        operator: What to come close to.
        rank: Columns of L, at least 1.

    Returns:
        The preconditioner.

    Raises:
        UsageError: `rank` is not in [1, k].
    """
    size = operator.shape[-1]
    if rank < 1 or (size is not None and rank > size):
        raise UsageError(f"rank {rank}; expected 1 to {size}, the size of the matrix")
    factor = pivoted_cholesky_factor(operator, rank)
    noise = tf.broadcast_to(operator.noise, tf.shape(factor)[:-2])
    inner = tf.matmul(factor, factor, transpose_a=True)
    diagonal = tf.linalg.diag_part(inner) + noise[..., tf.newaxis]
    return LowRankPreconditioner(
        factor, noise, tf.linalg.cholesky(tf.linalg.set_diag(inner, diagonal))
    )
