"""Dropout whose masks follow from a seed, so that a resumed training repeats them."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf


class _Seeds:
    """One seed per dropout of a pass, in the order in which the layers ask."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed = seed
        self._asked = 0

    def next(self) -> tf.Tensor:
        self._asked += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._asked)


_seeds: contextvars.ContextVar[_Seeds | None] = contextvars.ContextVar("seeds", default=None)


@contextlib.contextmanager
def dropout_seed(seed: tf.Tensor) -> Iterator[None]:
    """Lets every `dropout` of the block draw its mask from `seed`.

    Args:
        seed: int32 or int64 `[2]`; the same seed gives the same masks on every device.

    Yields:
        Nothing; the block holds one pass of the model.
    """
    token = _seeds.set(_Seeds(seed))
    try:
        yield
    finally:
        _seeds.reset(token)


def dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
    """Sets a share `rate` of the elements to zero and scales the others by 1 / (1 - rate).

    Within `dropout_seed` the mask follows from that seed; elsewhere TensorFlow's generator draws
    it, and no two passes are alike.
    """
    seeds = _seeds.get()
    if seeds is None:
        return tf.nn.dropout(x, rate)
    return tf.nn.experimental.stateless_dropout(x, rate, seed=seeds.next(), rng_alg="philox")
