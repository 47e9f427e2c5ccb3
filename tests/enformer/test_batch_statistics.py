"""Batch-norm statistics over many batches, against numpy on the first norm of the model."""

import numpy as np
import pytest
import tensorflow as tf

from enformer.training_toys import TABLE, contig, tiny_config, tiny_model
from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.batch_statistics import reestimate_statistics
from tfgen.enformer.layers import BatchNorm
from tfgen.enformer.sampling import WindowSampler
from tfgen.errors import UsageError


def batches(number=5):
    sampler = WindowSampler([contig()], tiny_config(), 4, 1, Augmentation(3))
    return [sampler.batch(step) for step in range(number)]


def first_norm(model):
    return model.stem.pointwise.norm


def before_first_norm(model, batch):
    """What reaches the first norm: the first convolution, written out."""
    sequence = np.pad(TABLE[batch.codes], ((0, 0), (7, 7), (0, 0)))
    w, b = model.stem.convolution.w.numpy(), model.stem.convolution.b.numpy()
    length = batch.codes.shape[1]
    return sum(sequence[:, i : i + length] @ w[i] for i in range(15)) + b


def test_the_statistics_are_those_of_the_whole_sample():
    model = tiny_model()
    values = np.concatenate([before_first_norm(model, batch) for batch in batches()])
    assert reestimate_statistics(model, batches(), TABLE) == 5
    norm = first_norm(model)
    np.testing.assert_allclose(
        norm.moving_mean.average[0, 0], values.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        norm.moving_variance.average[0, 0], values.var(axis=(0, 1)), rtol=1e-4
    )


def test_the_order_of_the_batches_does_not_matter():
    model, reversed_model = tiny_model(), tiny_model()
    reestimate_statistics(model, batches(), TABLE)
    reestimate_statistics(reversed_model, batches()[::-1], TABLE)
    for one, other in zip(model.variables, reversed_model.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-7)


def test_every_norm_is_done_and_no_weight_changes():
    model = tiny_model()
    weights = [variable.numpy().copy() for variable in model.trainable_variables]
    reestimate_statistics(model, batches(), TABLE)
    for variable, before in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, before)
    for norm in (module for module in model.submodules if isinstance(module, BatchNorm)):
        assert norm.moving_mean.average.numpy().any()


def test_dropout_is_off():
    calm, dropping = tiny_model(), tiny_model(dropout_rate=0.5)
    for model in (calm, dropping):
        reestimate_statistics(model, batches(), TABLE)
    for one, other in zip(calm.variables, dropping.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_further_training_goes_on_from_them():
    model = tiny_model()
    reestimate_statistics(model, batches(), TABLE)
    norm = first_norm(model)
    before = norm.moving_mean.average.numpy()
    model(tf.zeros([1, 512, 4]), is_training=True)
    zero = model.stem.convolution.b.numpy()
    np.testing.assert_allclose(norm.moving_mean.average, 0.9 * before + 0.1 * zero, rtol=1e-4)


def test_no_batches_are_refused():
    with pytest.raises(UsageError, match="no batches to estimate the batch-norm statistics from"):
        reestimate_statistics(tiny_model(), [], TABLE)
