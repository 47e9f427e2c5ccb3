"""From features to what a network sees, and from its output to log f."""

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.prior.heads.head_config import FREQUENCY_FLOOR, LINK_FLOOR, HeadConfig, Link, TraitScale
from tfgen.prior.heads.standardise import (
    ANNOTATION_CLIP,
    TRACK_CLIP,
    ColumnStatistics,
    Standardiser,
)

_Float32 = npt.NDArray[np.float32]


class StandardiseLayer(keras.layers.Layer):
    """`Standardiser` on tensors; it has no weights.

    Args:
        standardiser: What training saw.
    """

    def __init__(self, standardiser: Standardiser) -> None:
        super().__init__(name="standardise", dtype="float32")
        self._annotations = _scales(standardiser.annotations)
        self._tracks = _scales(standardiser.tracks)
        self._indicators = standardiser.indicators.astype(np.int32)
        self.built = True

    def call(
        self, annotations: tf.Tensor, tracks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Raw [n, A] and [n, L, T] to standardised [n, A + I] and [n, L, T]."""
        scaled = _scale(annotations, *self._annotations, ANNOTATION_CLIP)
        if self._indicators.size:
            absent = tf.math.is_nan(tf.gather(annotations, self._indicators, axis=1))
            scaled = tf.concat([scaled, tf.cast(absent, tf.float32)], axis=1)
        if tracks is not None:
            tracks = _scale(tracks, *self._tracks, TRACK_CLIP)
        return scaled, tracks


class OutputLayer(keras.layers.Layer):
    """log f = log N - log M + gamma log(2p(1-p)) + clip(h), with h = log link(x).

    Args:
        config: Link, exponent and largest |h|.
        traits: Scales of the traits.
    """

    def __init__(self, config: HeadConfig, traits: Sequence[TraitScale]) -> None:
        super().__init__(name="output", dtype="float32")
        self._config = config
        self._scale = np.array([trait.log_scale for trait in traits], np.float32)
        self._exponent = None
        if config.freq_mode == "trained":
            self._exponent = self.add_weight(
                shape=(len(traits),),
                initializer=keras.initializers.Constant(config.freq_exponent),
                name="frequency_exponent",
            )
        self.built = True

    def call(self, x: tf.Tensor, frequency: tf.Tensor | None = None) -> tf.Tensor:
        """The network's output to log f.

        Args:
            x: [n, traits].
            frequency: Of either allele [n]; without need for it, None.

        Returns:
            [n, traits].
        """
        limit = self._config.clip
        log_f = self._scale + tf.clip_by_value(log_link(x, self._config.link), -limit, limit)
        if self._config.freq_mode == "off":
            return log_f
        return log_f + self.exponent * log_heterozygosity(frequency)[:, tf.newaxis]

    @property
    def exponent(self) -> tf.Tensor | float:
        """gamma: a number, or one for each trait [traits]."""
        if self._config.freq_mode == "off" or self._config.freq_exponent is None:
            return 0.0
        return self._config.freq_exponent if self._exponent is None else self._exponent.value

    def is_clipped(self, x: tf.Tensor) -> tf.Tensor:
        """Where f does not answer to the network's output x: bool [n, traits]."""
        limit, link = self._config.clip, self._config.link
        at_floor = tf.zeros_like(x, tf.bool)
        if link != "exp":
            at_floor = (tf.nn.softplus(x) if link == "softplus" else x) <= LINK_FLOOR
        return at_floor | (tf.abs(log_link(x, link)) > limit)

    def start(
        self, mean_f: float | Sequence[float], frequency: npt.NDArray[np.floating] | None
    ) -> npt.NDArray[np.float32]:
        """What the network must give so that f has a mean.

        Args:
            mean_f: The mean, one or one for each trait.
            frequency: Allele frequencies of the variants over which it is the mean [n]; by default
                one variant with frequency 1/2.

        Returns:
            x [traits].

        Raises:
            UsageError: A mean is not positive or beyond what the clip and the link allow.
        """
        target = np.broadcast_to(np.asarray(mean_f, np.float64), self._scale.shape)
        if not (np.isfinite(target).all() and (target > 0).all()):
            raise UsageError(f"the mean of f to start from is {mean_f}; expected numbers above 0")
        p = np.array([0.5]) if frequency is None else np.asarray(frequency, np.float64)
        minor = np.maximum(np.minimum(p, 1 - p), FREQUENCY_FLOOR)
        exponent = np.broadcast_to(np.asarray(self.exponent, np.float64), self._scale.shape)
        factor = np.mean((2 * minor * (1 - minor))[:, np.newaxis] ** exponent, axis=0)
        h = np.log(target) - self._scale - np.log(factor)
        low = -self._config.clip
        if self._config.link != "exp":
            low = max(low, np.log(LINK_FLOOR))
        if not (np.isfinite(h).all() and (h > low).all() and (h < self._config.clip).all()):
            raise UsageError(
                f"f cannot start at the mean {mean_f}: the network's part of log f would be "
                f"{np.round(h, 2).tolist()}, outside {low:.4g} to {self._config.clip:.4g}; check N "
                "and M of the traits and the frequencies"
            )
        return _inverse_link(h, self._config.link).astype(np.float32)


def log_link(x: tf.Tensor, link: Link) -> tf.Tensor:
    """H = log link(x), the value of softplus and relu being at least 1e-5."""
    if link == "exp":
        return x
    value = tf.nn.softplus(x) if link == "softplus" else x
    return tf.math.log(tf.maximum(value, LINK_FLOOR))


def log_heterozygosity(frequency: tf.Tensor) -> tf.Tensor:
    """log(2p(1-p)) of the rarer allele, its frequency taken as at least 1e-5: [n] -> [n].

    The rarer one, because 1 - p of a common allele has few digits in float32.
    """
    minor = tf.maximum(tf.minimum(frequency, 1.0 - frequency), FREQUENCY_FLOOR)
    return tf.math.log(2.0 * minor * (1.0 - minor))


def _inverse_link(h: npt.NDArray[np.float64], link: Link) -> npt.NDArray[np.float64]:
    """X of which h is the `log_link`."""
    if link == "exp":
        return h
    value = np.exp(h)
    # softplus(x) = y where x = log(e^y - 1) = y + log(1 - e^-y).
    return np.asarray(value + np.log(-np.expm1(-value)) if link == "softplus" else value)


def _scales(statistics: ColumnStatistics) -> tuple[_Float32, _Float32]:
    return statistics.mean.astype(np.float32), statistics.sd.astype(np.float32)


def _scale(values: tf.Tensor, mean: _Float32, sd: _Float32, clip: float) -> tf.Tensor:
    # A missing value is filled first: a NaN that is only passed over spoils gradients.
    filled = tf.where(tf.math.is_nan(values), mean, values)
    return tf.clip_by_value((filled - mean) / sd, -clip, clip)
