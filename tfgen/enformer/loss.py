"""The loss of a training step."""

import tensorflow as tf

_FLOOR = 1e-7


def poisson_loss(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Poisson negative log-likelihood up to a constant: mean(p - t log(p + 1e-7)).

    The loss of Avsec et al. 2021 (doi:10.1038/s41592-021-01252-x) as Keras defines it: the floor
    stands inside the logarithm, and batch, bins and tracks are averaged alike.

    Args:
        prediction: Expected coverage, `[batch, bins, tracks]` float32, non-negative.
        target: Observed coverage of the same shape.

    Returns:
        A float32 scalar.
    """
    return tf.reduce_mean(prediction - target * tf.math.log(prediction + _FLOOR))
