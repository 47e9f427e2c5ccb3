"""Networks over tracks: a small transformer and a small convolution network.

Annotations are the same at every position of the transformer's input; the convolution network
meets them above its tracks.
"""

import keras
import numpy as np
import tensorflow as tf

from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, transformer_halvings
from tfgen.prior.heads.heads import DenseStack, Head
from tfgen.prior.heads.layer_factory import LayerFactory
from tfgen.prior.heads.sequence_layers import AttentionPooling, RelativeAttention, sigmoid_gelu

ATTENTION_DROPOUT = 0.05
POSITION_DROPOUT = 0.01
POINTWISE_DROPOUT = 0.05

_STEM_WIDTH = 15
_STAGE_WIDTH = 5


class TransformerHead(Head):
    """A small Enformer over [n, L, T + W], tracks and annotations side by side.

    A stem of dim/2 channels (convolution 15, residual, attention pooling); stages of growing width
    (convolution 5, residual, attention pooling) down to `target_length`; transformer blocks; a
    pointwise layer of 2 dim channels; and one output per trait of all positions together. The
    layout is that of the network in arXiv:2506.19598, with layer normalisation in place of batch
    normalisation.

    Args:
        config: Widths, depth and dropout.
        shape: Features.
        width: Annotations with indicators, W.
        n_traits: Outputs.
        factory: Makes the layers.
    """

    def __init__(
        self,
        config: HeadConfig,
        shape: FeatureShape,
        width: int,
        n_traits: int,
        factory: LayerFactory,
    ) -> None:
        super().__init__(n_traits)
        dim, length = config.dim, shape.length
        drops = bool(config.dropout)
        self._length = length
        self._flat = config.target_length * 2 * dim
        self._stem = factory.convolution(shape.n_tracks + width, dim // 2, _STEM_WIDTH, "stem")
        self._stem_residual = NormConvolution(dim // 2, dim // 2, 1, "stem_residual", factory)
        self._stem_pooling = AttentionPooling(dim // 2, "stem_pooling", factory)
        widths = stage_widths(dim, transformer_halvings(length, config.target_length))
        self._stages = [
            _Stage(before, after, f"stage{number}", factory)
            for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False))
        ]
        self._blocks = [
            TransformerBlock(config, f"block{number}", factory) for number in range(config.depth)
        ]
        self._pointwise = NormConvolution(dim, 2 * dim, 1, "pointwise", factory)
        self._drop = factory.dropout(POINTWISE_DROPOUT * drops)
        self._last = factory.dense(self._flat, n_traits, "last", bias=False, start="zeros")

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The output of the last layer; `tracks` are needed."""
        along = tf.repeat(annotations[:, tf.newaxis], self._length, axis=1)
        x = self._stem(tf.concat([tracks, along], axis=2))
        x = self._stem_pooling(x + self._stem_residual(x))
        for stage in self._stages:
            x = stage(x)
        for block in self._blocks:
            x = block(x, seed)
        x = sigmoid_gelu(self._drop(self._pointwise(x), seed))
        return self.bias.value + self._last(tf.reshape(x, [-1, self._flat]))


class TransformerBlock(keras.layers.Layer):
    """Attention and a two-layer network, each on normalised input and added to it.

    Args:
        config: Widths, dropout and number of positions.
        name: Name of the layer.
        factory: Makes the layers.
    """

    def __init__(self, config: HeadConfig, name: str, factory: LayerFactory) -> None:
        super().__init__(name=name, dtype="float32")
        dim, rate = config.dim, config.dropout
        rates = (ATTENTION_DROPOUT * bool(rate), POSITION_DROPOUT * bool(rate))
        self._norms = [factory.norm(dim, f"{name}_norm{number}") for number in range(2)]
        self._attention = RelativeAttention(
            dim, config.heads, config.target_length, f"{name}_attention", factory, rates
        )
        self._wide = factory.dense(dim, 2 * dim, f"{name}_wide")
        self._narrow = factory.dense(2 * dim, dim, f"{name}_narrow")
        self._dropouts = [factory.dropout(rate) for _ in range(3)]
        self.built = True

    def call(self, x: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """[n, T, D] -> [n, T, D]."""
        first, second, third = self._dropouts
        x += first(self._attention(self._norms[0](x), seed), seed)
        wide = tf.nn.relu(second(self._wide(self._norms[1](x)), seed))
        return x + third(self._narrow(wide), seed)


class NormConvolution(keras.layers.Layer):
    """Layer normalisation, GELU, convolution.

    Args:
        before: Channels.
        after: Channels afterwards.
        width: Positions that the convolution sees.
        name: Name of the layer.
        factory: Makes the layers.
    """

    def __init__(
        self, before: int, after: int, width: int, name: str, factory: LayerFactory
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self._norm = factory.norm(before, f"{name}_norm")
        if width == 1:
            self._convolution = factory.dense(before, after, f"{name}_dense")
        else:
            self._convolution = factory.convolution(before, after, width, f"{name}_convolution")
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[n, L, before] -> [n, L, after]."""
        return self._convolution(sigmoid_gelu(self._norm(x)))


class _Stage(keras.layers.Layer):
    """A convolution, a residual, and half the length: [n, L, before] -> [n, L / 2, after]."""

    def __init__(self, before: int, after: int, name: str, factory: LayerFactory) -> None:
        super().__init__(name=name, dtype="float32")
        self._wide = NormConvolution(before, after, _STAGE_WIDTH, f"{name}_wide", factory)
        self._residual = NormConvolution(after, after, 1, f"{name}_residual", factory)
        self._pooling = AttentionPooling(after, f"{name}_pooling", factory)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = self._wide(x)
        return self._pooling(x + self._residual(x))


class ConvolutionHead(Head):
    """A stem convolution over the tracks, residual blocks that halve them, and dense layers.

    Above the convolutions every channel gives its mean and its value in the centre, and the
    annotations join.

    Args:
        config: Width, depth, dense layers and dropout.
        shape: Features.
        width: Annotations with indicators, W.
        n_traits: Outputs.
        factory: Makes the layers.
    """

    def __init__(
        self,
        config: HeadConfig,
        shape: FeatureShape,
        width: int,
        n_traits: int,
        factory: LayerFactory,
    ) -> None:
        super().__init__(n_traits)
        dim = config.dim
        self._stem = factory.convolution(shape.n_tracks, dim, _STEM_WIDTH, "stem")
        self._blocks = [
            NormConvolution(dim, dim, _STAGE_WIDTH, f"block{number}", factory)
            for number in range(config.depth)
        ]
        self._stack = DenseStack(2 * dim + width, n_traits, config, factory)

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The output of the last layer; `tracks` are needed."""
        x = self._stem(tracks)
        for block in self._blocks:
            x += block(x)
            half = x.shape[1] // 2
            if half:
                # An odd position at the end goes with no pair.
                pairs = tf.reshape(x[:, : 2 * half], [-1, half, 2, x.shape[2]])
                x = tf.reduce_mean(pairs, axis=2)
        seen = [tf.reduce_mean(x, axis=1), x[:, x.shape[1] // 2], annotations]
        return self.bias.value + self._stack(tf.concat(seen, axis=1), seed)


def stage_widths(dim: int, halvings: int) -> tuple[int, ...]:
    """Channels of the stem and after each of the `halvings` - 1 stages, the last having `dim`.

    The stages grow geometrically from dim/2 to dim; a single one has dim.
    """
    stages = np.geomspace(dim // 2, dim, halvings - 1) if halvings > 2 else [dim]  # noqa: PLR2004
    return (dim // 2, *(round(float(width)) for width in stages))
