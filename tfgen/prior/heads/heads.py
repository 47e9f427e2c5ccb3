"""Networks over features without an order: constant, linear, enrichment, dense layers."""

import math
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfgen.prior.heads.head_config import FeatureShape, HeadConfig
from tfgen.prior.heads.layer_factory import LayerFactory


class Head(keras.layers.Layer):
    """A network from features to one number per trait. Variants do not see each other.

    The last weights start at 0 and only `bias` [traits] decides, so that f starts the same for all
    variants.

    Args:
        n_traits: Outputs.
    """

    reads_raw: ClassVar[bool] = False
    """Whether it takes raw features instead of standardised ones."""

    def __init__(self, n_traits: int) -> None:
        super().__init__(name="head", dtype="float32")
        self.bias = self.add_weight(shape=(n_traits,), initializer="zeros", name="bias")
        self.built = True

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The output x, of which log f is made.

        Args:
            annotations: [n, W] float32, W = A + I standardised ones and indicators of missing ones.
            tracks: [n, L, T] float32, None without tracks.
            seed: int32 [2] from which dropout draws; None drops nothing.

        Returns:
            [n, traits] float32.
        """
        raise NotImplementedError


class ConstantHead(Head):
    """The same for every variant."""

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The bias, for as many variants as there are annotations [n, 0 or more]."""
        return tf.zeros([tf.shape(annotations)[0], 1]) + self.bias.value


class LinearHead(Head):
    """x = tracks w_t / sqrt(number of track inputs) + annotations w_a / sqrt(W) + bias.

    Track inputs are the mean of every track, or all its positions.

    Args:
        config: Whether tracks are averaged.
        shape: Features.
        width: Annotations with indicators, W.
        n_traits: Outputs.
    """

    def __init__(self, config: HeadConfig, shape: FeatureShape, width: int, n_traits: int) -> None:
        super().__init__(n_traits)
        self._average = config.average_tracks
        n_tracks = _track_inputs(config, shape)
        self._scales = tuple(1 / math.sqrt(max(n, 1)) for n in (width, n_tracks))
        self.annotation_weights = self.add_weight(
            shape=(width, n_traits), initializer="zeros", name="annotation_weights"
        )
        self.track_weights = None
        if n_tracks:
            self.track_weights = self.add_weight(
                shape=(n_tracks, n_traits), initializer="zeros", name="track_weights"
            )

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The weighted sum."""
        x = self.bias.value + self._scales[0] * annotations @ self.annotation_weights.value
        if tracks is not None and self.track_weights is not None:
            flat = _flatten(tracks, self._average)
            x += self._scales[1] * flat @ self.track_weights.value
        return x


class EnrichmentHead(Head):
    """x = bias + sum of value_e where feature_e > threshold_e; raw features.

    Args:
        config: The categories.
        shape: Features.
        n_traits: Outputs; all start with the same values.
    """

    reads_raw = True

    def __init__(self, config: HeadConfig, shape: FeatureShape, n_traits: int) -> None:
        super().__init__(n_traits)
        start = (shape.length - config.enrich_window) // 2
        self._centre = slice(max(start, 0), max(start, 0) + config.enrich_window)
        self._indices = np.array(config.enrich_indices, np.int32)
        self._thresholds = np.array(config.enrich_thresholds, np.float32)
        values = np.array(config.enrich_values, np.float32)
        self.values = self.add_weight(
            shape=(len(values), n_traits),
            initializer=lambda shape, dtype=None: tf.repeat(values[:, None], shape[1], axis=1),
            trainable=config.enrich_trained,
            name="values",
        )

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The sum; `annotations` [n, A] and `tracks` are raw here, NaN being above nothing."""
        features = annotations
        if tracks is not None:
            central = tf.reduce_sum(tracks[:, self._centre], axis=1)
            features = tf.concat([central, annotations], axis=1)
        chosen = tf.gather(features, self._indices, axis=1)
        above = tf.cast(chosen > self._thresholds, tf.float32)
        return self.bias.value + above @ self.values.value


class DenseHead(Head):
    """Dense layers with GELU and dropout, over annotations and tracks as `LinearHead` sees them.

    Args:
        config: Widths and dropout.
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
        self._average = config.average_tracks
        self._stack = DenseStack(width + _track_inputs(config, shape), n_traits, config, factory)

    def call(
        self,
        annotations: tf.Tensor,
        tracks: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The output of the last layer."""
        x = annotations
        if tracks is not None:
            x = tf.concat([x, _flatten(tracks, self._average)], axis=1)
        return self.bias.value + self._stack(x, seed)


class DenseStack(keras.layers.Layer):
    """(Dense, GELU, dropout) for every width in `config.hidden`, then Dense without a bias.

    Args:
        inputs: Size of the last axis.
        outputs: Size of the last axis afterwards.
        config: Widths and dropout.
        factory: Makes the layers.
    """

    def __init__(
        self, inputs: int, outputs: int, config: HeadConfig, factory: LayerFactory
    ) -> None:
        super().__init__(name="dense_stack", dtype="float32")
        widths = (inputs, *config.hidden)
        self._hidden = [
            factory.dense(before, after, f"hidden_{number}")
            for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False))
        ]
        self._dropouts = [factory.dropout(config.dropout) for _ in config.hidden]
        self._last = factory.dense(widths[-1], outputs, "last", bias=False, start="zeros")
        self.built = True

    def call(self, x: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """[n, inputs] -> [n, outputs]."""
        for hidden, dropout in zip(self._hidden, self._dropouts, strict=True):
            x = dropout(tf.nn.gelu(hidden(x)), seed)
        return self._last(x)


def _track_inputs(config: HeadConfig, shape: FeatureShape) -> int:
    """Inputs that `_flatten` makes of the tracks of a variant."""
    return shape.n_tracks * (1 if config.average_tracks else shape.length)


def _flatten(tracks: tf.Tensor, average: bool) -> tf.Tensor:
    """[n, L, T] -> [n, T] means, or [n, L * T]."""
    if average:
        return tf.reduce_mean(tracks, axis=1)
    return tf.reshape(tracks, [-1, tracks.shape[1] * tracks.shape[2]])
