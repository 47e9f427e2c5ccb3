"""Keras layers whose starting weights and dropout masks follow from seeds.

Every layer is built where it is made, in float32, under a name of its own.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class StatelessDropout:
    """Sets a share of the values to zero; the mask follows from a seed.

    Args:
        rate: The share.
        stream: Number of this dropout in its model: no two draw the same mask.
    """

    def __init__(self, rate: float, stream: int) -> None:
        self._rate = rate
        self._stream = stream

    def __call__(self, x: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """A masked copy scaled by 1 / (1 - rate); without a seed, `x` itself.

        Args:
            x: Any float32 tensor.
            seed: int32 [2]; the same seed gives the same mask for a tensor of the same shape.
        """
        if seed is None or not self._rate:
            return x
        own = tf.random.experimental.stateless_fold_in(seed, self._stream, alg="philox")
        # Random bits, because the uniform numbers made of them differ in compiled code.
        bits = tf.random.stateless_uniform(
            tf.shape(x), own, None, None, dtype=tf.uint32, alg="philox"
        )
        kept = bits >= tf.constant(min(round(self._rate * 2**32), 2**32 - 1), tf.uint32)
        return tf.where(kept, x / (1 - self._rate), 0.0)


class LayerFactory:
    """Makes the layers of one model.

    Args:
        seed: Of the starting weights; every layer draws from a stream of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0
        self._dropouts = 0

    def glorot(self) -> Any:
        """Uniform starting weights with variance 2 / (inputs + outputs)."""
        self._drawn += 1
        state = np.random.SeedSequence([self._seed, self._drawn]).generate_state(1)
        return keras.initializers.GlorotUniform(seed=int(state[0] >> 1))

    def dense(
        self,
        inputs: int,
        units: int,
        name: str,
        *,
        bias: bool = True,
        start: object = None,
    ) -> Any:
        """A dense layer on the last axis.

        Args:
            inputs: Size of that axis.
            units: Outputs.
            name: Name of the layer.
            bias: Whether it has a bias, which starts at 0.
            start: Initializer of the kernel; `glorot` by default.
        """
        layer = keras.layers.Dense(
            units,
            use_bias=bias,
            kernel_initializer=self.glorot() if start is None else start,
            name=name,
            dtype="float32",
        )
        layer.build((None, inputs))
        return layer

    def convolution(self, inputs: int, filters: int, width: int, name: str) -> Any:
        """A convolution along the positions of [n, L, inputs]; zeros lie beyond the ends."""
        layer = keras.layers.Conv1D(
            filters,
            width,
            padding="same",
            kernel_initializer=self.glorot(),
            name=name,
            dtype="float32",
        )
        layer.build((None, None, inputs))
        return layer

    def norm(self, channels: int, name: str) -> Any:
        """Layer normalisation of the last axis: gamma and beta, each variant for itself."""
        layer = keras.layers.LayerNormalization(epsilon=1e-5, name=name, dtype="float32")
        layer.build((None, channels))
        return layer

    def dropout(self, rate: float) -> StatelessDropout:
        """A dropout with its own stream of masks."""
        self._dropouts += 1
        return StatelessDropout(rate, self._dropouts)
