"""Layers of the networks over tracks: attention pooling, relative positions, attention.

Small relatives of the layers of the Enformer (Avsec et al. 2021,
doi:10.1038/s41592-021-01252-x), with layer normalisation, so that no variant sees another.
"""

import math

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.prior.heads.head_config import POSITION_COLUMNS
from tfgen.prior.heads.layer_factory import LayerFactory

KEY_SIZE = 64
"""Columns of queries and keys per attention head."""

_GAMMA_FLOOR = 1e-8


def sigmoid_gelu(x: tf.Tensor) -> tf.Tensor:
    """X sigmoid(1.702 x), the fast form of GELU (Hendrycks & Gimpel, arXiv:1606.08415)."""
    return x * tf.sigmoid(1.702 * x)


def position_basis(length: int, columns: int) -> npt.NDArray[np.float32]:
    """Functions of the distance between two positions.

    A third each are exponential decays with half-lives from 8 to `length`, indicators of
    |d| < 2^k - 1, and gamma densities with means up to `length` scaled to a maximum of 1; all of
    them, and then all times the sign of d (Avsec et al. 2021, Methods).

    Args:
        length: Positions.
        columns: Functions, a multiple of 6.

    Returns:
        [2 length - 1, columns]; row d + length - 1 is the distance d.

    Raises:
        UsageError: `columns` is no positive multiple of 6.
    """
    if columns < 1 or columns % POSITION_COLUMNS:
        raise UsageError(f"position columns are {columns}; expected a multiple of 6 above 0")
    count = columns // POSITION_COLUMNS
    signed = np.arange(1 - length, length, dtype=np.float64)[:, np.newaxis]
    distance = np.abs(signed)
    half_lives = 2.0 ** np.linspace(3.0, math.log2(length), count)
    decays = 2.0 ** (-distance / half_lives)
    masks = (2.0 ** np.arange(1, count + 1) - 1 > distance).astype(np.float64)
    families = np.concatenate([decays, masks, _gamma_densities(distance, length, count)], axis=1)
    return np.concatenate([families, np.sign(signed) * families], axis=1).astype(np.float32)


def _gamma_densities(
    distance: npt.NDArray[np.float64], length: int, count: int
) -> npt.NDArray[np.float64]:
    """Densities with means length/count .. length and deviation length/(2 count)."""
    deviation = length / (2 * count)
    mean = np.linspace(length / count, length, count)
    shape, rate = (mean / deviation) ** 2, mean / deviation**2
    normaliser = np.array([math.lgamma(value) for value in shape]) - shape * np.log(rate)
    with np.errstate(divide="ignore"):
        log_density = (shape - 1) * np.log(distance) - rate * distance - normaliser
    density = np.exp(log_density) + _GAMMA_FLOOR
    return np.asarray(density / density.max(axis=0))


class AttentionPooling(keras.layers.Layer):
    """Halves the length: of two neighbours a weighted mean, channel by channel.

    The weights are a softmax over the two; their logits, a linear map of the channels, start as
    twice the values themselves.

    Args:
        channels: Channels C.
        name: Name of the layer.
        factory: Makes the layers.
    """

    def __init__(self, channels: int, name: str, factory: LayerFactory) -> None:
        super().__init__(name=name, dtype="float32")
        self._channels = channels
        self._logits = factory.dense(
            channels,
            channels,
            f"{name}_logits",
            bias=False,
            start=keras.initializers.Identity(gain=2.0),
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[n, L, C] -> [n, L / 2, C]."""
        pairs = tf.reshape(x, [-1, x.shape[1] // 2, 2, self._channels])
        weights = tf.nn.softmax(self._logits(pairs), axis=2)
        return tf.reduce_sum(pairs * weights, axis=2)


class RelativeAttention(keras.layers.Layer):
    """Multi-head attention with learned weights on relative positions.

    logit[i, j] = (q_i + c) . k_j + (q_i + r) . P[j - i] with P = position basis times weights and q
    scaled by 1 / sqrt(64); a softmax over the keys j (Dai et al. 2019, arXiv:1901.02860). The
    output weights start at 0.

    Args:
        dim: Channels D.
        heads: Attention heads; each has D / heads value and position columns.
        length: Positions T.
        name: Name of the layer.
        factory: Makes the layers.
        rates: Shares of attention weights and of position functions that training drops.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        length: int,
        name: str,
        factory: LayerFactory,
        rates: tuple[float, float],
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self._heads = heads
        self._basis = position_basis(length, dim // heads)
        # Row of the basis for query i (row) and key j (column).
        self._rows = np.arange(length)[np.newaxis] - np.arange(length)[:, np.newaxis] + length - 1
        keys = heads * KEY_SIZE
        self._query = factory.dense(dim, keys, f"{name}_query", bias=False)
        self._key = factory.dense(dim, keys, f"{name}_key", bias=False)
        self._value = factory.dense(dim, dim, f"{name}_value", bias=False)
        self._position = factory.dense(dim // heads, keys, f"{name}_position", bias=False)
        self._output = factory.dense(dim, dim, f"{name}_output", start="zeros")
        self._content_bias, self._position_bias = (
            self.add_weight(shape=(heads, 1, KEY_SIZE), initializer="zeros", name=bias)
            for bias in ("content_bias", "position_bias")
        )
        self._drop_weights, self._drop_positions = (factory.dropout(rate) for rate in rates)
        self.built = True

    def call(self, x: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """[n, T, D] -> [n, T, D]; without a seed nothing is dropped."""
        query = self._split(self._query(x)) * KEY_SIZE**-0.5
        key, value = self._split(self._key(x)), self._split(self._value(x))
        basis = self._drop_positions(tf.constant(self._basis), seed)
        projected = tf.reshape(self._position(basis), [-1, self._heads, KEY_SIZE])
        relative = tf.gather(projected, self._rows)
        content = tf.linalg.matmul(query + self._content_bias.value, key, transpose_b=True)
        position = tf.einsum("nhik,ijhk->nhij", query + self._position_bias.value, relative)
        weights = self._drop_weights(tf.nn.softmax(content + position, axis=-1), seed)
        attended = tf.transpose(weights @ value, [0, 2, 1, 3])
        return self._output(tf.reshape(attended, [-1, x.shape[1], x.shape[2]]))

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        """[n, T, heads * size] -> [n, heads, T, size]."""
        parted = tf.reshape(x, [-1, x.shape[1], self._heads, x.shape[2] // self._heads])
        return tf.transpose(parted, [0, 2, 1, 3])
