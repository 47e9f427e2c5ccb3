"""Batch-norm statistics over more than the last few batches."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import sonnet as snt
import tensorflow as tf

from tfgen.enformer.layers import BatchNorm
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Batch
from tfgen.errors import UsageError

_SETTLED = 1000
"""So many updates that the start of a moving average with decay 0.9 no longer shows."""


def reestimate_statistics(
    model: Enformer, batches: Iterable[Batch], one_hot_table: npt.NDArray[np.float32]
) -> int:
    """Replaces the moving averages of every batch norm by the moments of a larger sample.

    The moving averages have decay 0.9, so at inference a model uses the statistics of about the
    last ten batches. This gives it those of all `batches`, weighted alike: the mean over the
    batches, and the mean variance within them plus the variance of their means. Dropout is off,
    as at inference: with it, what reaches the last norm would vary more than it later does.

    Args:
        model: Its averages are replaced; weights stay.
        batches: Windows, in batches of one size.
        one_hot_table: One-hot row of every base code, float32 `[codes, 4]`.

    Returns:
        Number of batches.

    Raises:
        UsageError: There are no batches.
    """
    calm = Enformer(
        dataclasses.replace(
            model.config,
            dropout_rate=0.0,
            attention_dropout_rate=0.0,
            positional_dropout_rate=0.0,
        )
    )
    for mine, theirs in zip(calm.variables, model.variables, strict=True):
        mine.assign(theirs)
    norms = _norms(calm)
    table = tf.constant(one_hot_table)

    @tf.function(reduce_retracing=True)
    def forward(codes: tf.Tensor) -> None:
        calm.embed(tf.gather(table, tf.cast(codes, tf.int32)), is_training=True)

    moments: list[list[npt.NDArray[np.float64]]] = []
    for batch in batches:
        for norm in norms:
            _restart(norm)
        forward(batch.codes)
        moments.append([_moments(norm) for norm in norms])
    if not moments:
        raise UsageError("no batches to estimate the batch-norm statistics from; give at least one")
    for norm, seen in zip(_norms(model), zip(*moments, strict=True), strict=True):
        means, variances = np.stack(seen, axis=1)
        _assign(norm.moving_mean, means.mean(axis=0))
        _assign(norm.moving_variance, variances.mean(axis=0) + means.var(axis=0))
    return len(moments)


def _norms(model: Enformer) -> list[BatchNorm]:
    return [module for module in model.submodules if isinstance(module, BatchNorm)]


def _restart(norm: BatchNorm) -> None:
    """Empties the averages, so that after one batch they are the moments of that batch."""
    for average in (norm.moving_mean, norm.moving_variance):
        average.reset()


def _moments(norm: BatchNorm) -> npt.NDArray[np.float64]:
    """Mean and variance `[2, 1, 1, channels]` of the only batch since `_restart`."""
    averages = (norm.moving_mean.average, norm.moving_variance.average)
    return np.stack([average.numpy() for average in averages]).astype(np.float64)


def _assign(average: snt.ExponentialMovingAverage, value: npt.NDArray[np.float64]) -> None:
    """Makes `value` what an average has settled on, so that further training goes on from it."""
    average._counter.assign(_SETTLED)
    for state in (average._hidden, average.average):
        state.assign(value.astype(np.float32))
