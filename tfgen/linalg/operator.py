"""The covariance that the functional prior gives to whitened statistics, never formed."""

from typing import Any

import tensorflow as tf

from tfgen.errors import UsageError


class LowRankPlusNoise(tf.linalg.LinearOperator):
    """sigma I + Q diag(f) Q', which is applied through Q: 4 k n operations for each column.

    A self-adjoint, positive definite `tf.linalg.LinearOperator`: `matmul`, `matvec`, `diag_part`,
    `to_dense`, `trace` work as for any other, and it can be an argument or a result of a
    `tf.function`. `solve` and `log_abs_determinant` are TensorFlow's dense ones; use
    `tfgen.linalg.conjugate_gradient` to stay matrix-free.

    Attributes:
        projection: Q, `[..., k, n]`.
        variances: f >= 0, `[..., n]`.
        noise: sigma > 0, `[...]`.
    """

    def __init__(
        self,
        projection: tf.Tensor,
        variances: tf.Tensor,
        noise: tf.Tensor,
        name: str = "LowRankPlusNoise",
    ) -> None:
        """Keeps the three parts; the values of `variances` and `noise` are not checked.

        Args:
            projection: Q, `[..., k, n]` floating point.
            variances: f, `[..., n]` of the same dtype, not negative.
            noise: sigma, `[...]` of the same dtype, positive.
            name: Name of the operator in graphs.

        Raises:
            UsageError: The numbers of columns of Q and of entries of f differ.
        """
        parameters = {
            "projection": projection,
            "variances": variances,
            "noise": noise,
            "name": name,
        }
        self.projection = tf.convert_to_tensor(projection)
        dtype = self.projection.dtype
        self.variances = tf.convert_to_tensor(variances, dtype)
        self.noise = tf.convert_to_tensor(noise, dtype)
        columns, entries = self.projection.shape[-1], self.variances.shape[-1]
        if None not in (columns, entries) and columns != entries:
            raise UsageError(f"{entries} variances for a projection of {columns} columns")
        super().__init__(
            dtype=dtype,
            is_non_singular=True,
            is_self_adjoint=True,
            is_positive_definite=True,
            is_square=True,
            name=name,
            parameters=parameters,
        )

    def formed(self) -> tf.linalg.LinearOperatorFullMatrix:
        """The same operator with its matrix in memory: `[..., k, k]`, 2 k^2 for each column.

        Worth its k n (k + 1) operations where many columns or many iterations follow.
        """
        return tf.linalg.LinearOperatorFullMatrix(
            self.to_dense(), is_non_singular=True, is_self_adjoint=True, is_positive_definite=True
        )

    def signal_diag_part(self) -> tf.Tensor:
        """Diagonal of Q diag(f) Q', without the noise: `[..., k]`."""
        scaled = self.projection * self.variances[..., tf.newaxis, :]
        return tf.reduce_sum(scaled * self.projection, axis=-1)

    def signal_column(self, index: tf.Tensor) -> tf.Tensor:
        """One column of Q diag(f) Q' for each matrix.

        Args:
            index: Integer `[...]`, of the batch shape of the operator.

        Returns:
            `[..., k]`.
        """
        chosen = tf.one_hot(index, tf.shape(self.projection)[-2], dtype=self.dtype)
        row = tf.linalg.matvec(self.projection, chosen, transpose_a=True)
        return tf.linalg.matvec(self.projection, self.variances * row)

    def _shape(self) -> tf.TensorShape:
        batch = tf.broadcast_static_shape(self.projection.shape[:-2], self.variances.shape[:-1])
        batch = tf.broadcast_static_shape(batch, self.noise.shape)
        size = self.projection.shape[-2]
        return batch.concatenate([size, size])

    def _shape_tensor(self) -> tf.Tensor:
        shape = tf.shape(self.projection)
        batch = tf.broadcast_dynamic_shape(shape[:-2], tf.shape(self.variances)[:-1])
        batch = tf.broadcast_dynamic_shape(batch, tf.shape(self.noise))
        return tf.concat([batch, [shape[-2], shape[-2]]], axis=0)

    def _matmul(self, x: tf.Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> tf.Tensor:
        del adjoint  # it is its own
        x = tf.linalg.adjoint(x) if adjoint_arg else x
        effects = self.variances[..., tf.newaxis] * tf.matmul(self.projection, x, transpose_a=True)
        noise = self.noise[..., tf.newaxis, tf.newaxis]
        return noise * x + tf.matmul(self.projection, effects)

    def _diag_part(self) -> tf.Tensor:
        return self.noise[..., tf.newaxis] + self.signal_diag_part()

    def _to_dense(self) -> tf.Tensor:
        root = self.projection * tf.sqrt(self.variances)[..., tf.newaxis, :]
        product = tf.matmul(root, root, transpose_b=True)
        diagonal = tf.linalg.diag_part(product) + self.noise[..., tf.newaxis]
        batch = tf.shape(diagonal)[:-1]
        product = tf.broadcast_to(product, tf.concat([batch, tf.shape(product)[-2:]], axis=0))
        return tf.linalg.set_diag(product, diagonal)

    @property
    def _experimental_parameter_ndims_to_matrix_ndims(self) -> dict[str, int]:
        return {"projection": 2, "variances": 1, "noise": 0}

    @property
    def _type_spec(self) -> tf.TypeSpec:
        parts = (self.projection, self.variances, self.noise)
        return LowRankPlusNoiseSpec(*(tf.TensorSpec(part.shape, part.dtype) for part in parts))


class LowRankPlusNoiseSpec(tf.TypeSpec):
    """Shapes and dtype of a `LowRankPlusNoise`: what a `tf.function` is traced for."""

    def __init__(
        self, projection: tf.TensorSpec, variances: tf.TensorSpec, noise: tf.TensorSpec
    ) -> None:
        """Takes the specs of the three parts."""
        self._parts = (projection, variances, noise)

    @property
    def value_type(self) -> type[LowRankPlusNoise]:
        """The class of the values."""
        return LowRankPlusNoise

    def _serialize(self) -> tuple[tf.TensorSpec, ...]:
        return self._parts

    @property
    def _component_specs(self) -> tuple[tf.TensorSpec, ...]:
        return self._parts

    def _to_components(self, value: Any) -> tuple[tf.Tensor, ...]:
        return (value.projection, value.variances, value.noise)

    def _from_components(self, components: Any) -> LowRankPlusNoise:
        return LowRankPlusNoise(*components)
