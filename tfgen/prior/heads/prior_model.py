"""The prior as a model: from raw features of variants to log f, the variance of their effects.

f is the prior variance of an effect on the z scale, z ~ N(0, R F R + sigma R) with F = diag(f).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import InputMismatchError, UsageError
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, TraitScale
from tfgen.prior.heads.heads import ConstantHead, DenseHead, EnrichmentHead, Head, LinearHead
from tfgen.prior.heads.layer_factory import LayerFactory
from tfgen.prior.heads.output_layer import OutputLayer, StandardiseLayer
from tfgen.prior.heads.sequence_head import ConvolutionHead, TransformerHead
from tfgen.prior.heads.standardise import Standardiser

__all__ = ["PriorModel", "TraitScale", "build_prior"]

Inputs = Mapping[str, Any]


class PriorModel(keras.Model):
    """log f of variants, each for itself; see `build_prior`.

    `model(inputs, training=False, seed=None)` gives log f [n, traits] float32. `inputs` are

    * `annotations` [n, A] float32, NaN where missing;
    * `tracks` [n, L, T] float32, only where the features have tracks;
    * `frequency` [n] float32, of the counted allele (the other one's gives the same); not looked at
      with `freq_mode` off.

    In training with dropout `seed`, int32 [2], decides the masks: the same inputs in the same
    order with the same seed give the same output, whether or not gradients are recorded.

    Attributes:
        config: Architecture.
        features: Names and shape of the features.
        traits: Scales of the traits, in the order of the output's columns.
        standardiser: Applied to the features inside the model.
    """

    def __init__(
        self,
        config: HeadConfig,
        features: FeatureShape,
        traits: Sequence[TraitScale],
        standardiser: Standardiser,
        seed: int = 0,
    ) -> None:
        super().__init__(name="prior", dtype="float32")
        self.config = config
        self.features = features
        self.traits = tuple(traits)
        self.standardiser = standardiser
        self._standardise = StandardiseLayer(standardiser)
        width = len(standardiser.input_names)
        self._head = _head(config, features, width, len(traits), LayerFactory(seed))
        self._output = OutputLayer(config, traits)
        self.built = True

    def __call__(
        self, inputs: Inputs, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Log f [n, traits]; see the class.

        Raises:
            UsageError: An input or the seed is missing.
        """
        # Here, because Keras adds lines of its own to an error raised in `call`.
        self._check(inputs, training, seed)
        return super().__call__(inputs, training=training, seed=seed)

    def call(
        self, inputs: Inputs, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """As `__call__`, by which Keras calls it."""
        x = self.network_output(inputs, training, seed)
        return self._output(x, inputs.get("frequency"))

    def network_output(
        self, inputs: Inputs, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What the network gives, before link, clipping and scale: x [n, traits].

        Raises:
            UsageError: An input or the seed is missing.
        """
        self._check(inputs, training, seed)
        drops = training and bool(self.config.dropout)
        annotations = inputs["annotations"]
        tracks = inputs["tracks"] if self.features.track_names else None
        if not self._head.reads_raw:
            annotations, tracks = self._standardise(annotations, tracks)
        return self._head(annotations, tracks, tf.cast(seed, tf.int32) if drops else None)

    def _check(self, inputs: Inputs, training: bool, seed: tf.Tensor | None) -> None:
        needed = ["annotations"]
        needed += ["tracks"] if self.features.track_names else []
        needed += ["frequency"] if self.config.freq_mode != "off" else []
        missing = [name for name in needed if inputs.get(name) is None]
        if missing:
            raise UsageError(f"the prior needs the input {missing[0]!r}; give {', '.join(needed)}")
        if training and self.config.dropout and seed is None:
            raise UsageError("training with dropout needs a seed; give two int32 numbers")

    def count_clipped(self, inputs: Inputs) -> npt.NDArray[np.int64]:
        """Variants whose f does not answer to the network, for each trait [traits].

        There |h| is beyond `config.clip`, or the link is at its least value; training gets no
        gradient from them.
        """
        clipped = self._output.is_clipped(self.network_output(inputs))
        return np.asarray(tf.math.count_nonzero(clipped, axis=0).numpy())

    def set_start(
        self,
        mean_f: float | Sequence[float],
        frequency: npt.NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Sets the bias so that f has a given mean before training.

        It is the mean over variants of the given frequencies whose features change nothing: at
        first that is every variant, except where enrichments start from values other than 0.

        Args:
            mean_f: Mean of f, for example (mean chi-square - 1) / (mean LD score): one for all
                traits or one for each.
            frequency: Allele frequencies [n]; by default one variant with frequency 1/2.

        Raises:
            UsageError: f cannot have that mean.
        """
        self._head.bias.assign(self._output.start(mean_f, frequency))

    @property
    def exponent_weights(self) -> list[Any]:
        """The trained exponent gamma, which may want a learning rate of its own; or nothing."""
        return list(self._output.trainable_weights)

    @property
    def frequency_exponents(self) -> npt.NDArray[np.float64]:
        """Gamma of every trait, 0 where frequency plays no part [traits]."""
        return np.broadcast_to(
            np.asarray(self._output.exponent, np.float64), len(self.traits)
        ).copy()


def build_prior(
    config: HeadConfig,
    shape: FeatureShape,
    traits: Sequence[TraitScale],
    standardiser: Standardiser,
    seed: int = 0,
) -> PriorModel:
    """A prior before training; all its variables are made here, in the strategy scope if any.

    Args:
        config: Architecture.
        shape: Features.
        traits: One for each output column.
        standardiser: Fitted on the training variants of the same features.
        seed: Of the starting weights.

    Raises:
        UsageError: The architecture cannot read such features, there is no trait, or Keras does not
            run on TensorFlow.
        InputMismatchError: The standardiser was fitted on other features.
    """
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()}; set the environment variable "
            "KERAS_BACKEND=tensorflow"
        )
    names = [trait.name for trait in traits]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"the traits are {names}; expected one or more with names of their own")
    if standardiser.shape != shape:
        raise InputMismatchError(
            "the standardiser was fitted on other features than the model is to read; fit it again"
        )
    config.check_shape(shape)
    return PriorModel(config, shape, traits, standardiser, seed)


def _head(
    config: HeadConfig, shape: FeatureShape, width: int, n_traits: int, factory: LayerFactory
) -> Head:
    match config.arch:
        case "constant":
            return ConstantHead(n_traits)
        case "linear":
            return LinearHead(config, shape, width, n_traits)
        case "enrichment":
            return EnrichmentHead(config, shape, n_traits)
        case "mlp":
            return DenseHead(config, shape, width, n_traits, factory)
        case "conv":
            return ConvolutionHead(config, shape, width, n_traits, factory)
        case "transformer":
            return TransformerHead(config, shape, width, n_traits, factory)
