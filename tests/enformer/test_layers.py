import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfgen.enformer import layers
from tfgen.enformer.layers import (
    AttentionPool,
    BatchNorm,
    Conv,
    ConvBlock,
    LayerNorm,
    Linear,
    MaxPool,
    dense,
    gelu,
)
from tfgen.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

# The standard deviation of a normal distribution cut off at two of its standard deviations.
TRUNCATED = 0.8796256610342398


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_gelu_is_the_logistic_form(rng):
    x = 3 * normal(rng, 50)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(gelu(tf.constant(x)), wide / (1 + np.exp(-1.702 * wide)), atol=1e-6)
    # The error-function and tanh forms have 0.8413 and 0.8412 here.
    assert float(gelu(tf.constant(1.0))) == pytest.approx(0.845796, abs=1e-6)


@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_maps_the_last_axis(rng, with_bias):
    layer = Linear(5, 3, with_bias=with_bias)
    x = normal(rng, 2, 7, 5)
    expected = np.einsum("bni,io->bno", x, layer.w.numpy())
    if with_bias:
        layer.b.assign([1.0, 2.0, 3.0])
        expected = expected + [1, 2, 3]
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=1e-5)
    assert len(layer.variables) == 1 + with_bias


def test_a_linear_map_of_the_wrong_width_fails(rng):
    # 2 x 4 x 6 numbers could be read as rows of 3 as well.
    with pytest.raises(tf.errors.InvalidArgumentError):
        dense(tf.constant(normal(rng, 2, 4, 6)), tf.constant(normal(rng, 3, 5)), None)


def test_linear_and_convolutions_accept_unknown_lengths(rng):
    layer, wide = ConvBlock(3, 4, 1), ConvBlock(3, 4, 5)
    x = tf.constant(normal(rng, 2, 6, 3))
    for block in (layer, wide):
        call = tf.function(
            lambda x, block=block: block(x, False),
            input_signature=[tf.TensorSpec([None, None, 3])],
        )
        np.testing.assert_allclose(call(x), block(x, False), atol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 5, 15])
@pytest.mark.parametrize("length", [1, 4, 20])
def test_convolution_pads_with_zeros_and_keeps_the_length(rng, width, length):
    layer = Conv(3, 4, width)
    layer.b.assign(normal(rng, 4))
    x, w, b = normal(rng, 2, length, 3), layer.w.numpy(), layer.b.numpy()
    before = (width - 1) // 2
    expected = np.zeros((2, length, 4))
    for position in range(length):
        for tap in range(width):
            source = position + tap - before
            if 0 <= source < length:
                expected[:, position] += x[:, source] @ w[tap]
    np.testing.assert_allclose(layer(tf.constant(x)), expected + b, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "stddev"),
    [
        (lambda: Linear(400, 500).w, TRUNCATED / 400**0.5),
        (lambda: Conv(40, 500, 10).w, TRUNCATED / 400**0.5),
    ],
)
def test_weights_start_truncated_normal_with_one_over_the_root_of_the_fan_in(values, stddev):
    drawn = values().numpy()
    assert drawn.std() == pytest.approx(stddev, rel=0.02)
    assert abs(drawn.mean()) < 0.02 * stddev
    assert np.abs(drawn).max() <= 2 * stddev / TRUNCATED + 1e-6


def test_biases_start_at_zero():
    assert not Linear(3, 4).b.numpy().any()
    assert not Conv(3, 4, 5).b.numpy().any()


def batch_norm(rng, channels=3):
    norm = BatchNorm(channels)
    norm.scale.assign(normal(rng, channels))
    norm.offset.assign(normal(rng, channels))
    return norm


def test_batch_norm_in_training_uses_the_population_moments_of_the_batch(rng):
    norm, x = batch_norm(rng), 2 + 3 * normal(rng, 4, 10, 3)
    wide = x.astype(np.float64)
    scaled = (wide - wide.mean((0, 1))) / np.sqrt(wide.var((0, 1)) + 1e-5)
    expected = scaled * norm.scale.numpy() + norm.offset.numpy()
    np.testing.assert_allclose(norm(tf.constant(x), True), expected, atol=1e-5)


def test_batch_norm_at_inference_uses_the_moving_averages(rng):
    norm, x = batch_norm(rng), normal(rng, 4, 10, 3)
    mean, variance = normal(rng, 1, 1, 3), np.float32([[[1e-5, 0.5, 20]]])
    norm.moving_mean.average.assign(mean)
    norm.moving_variance.average.assign(variance)
    before = [v.numpy() for v in norm.variables]
    expected = (x - mean) / np.sqrt(variance + 1e-5) * norm.scale.numpy() + norm.offset.numpy()
    np.testing.assert_allclose(norm(tf.constant(x), False), expected, rtol=1e-4, atol=1e-4)
    for value, variable in zip(before, norm.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_moving_averages_are_free_of_their_start(rng):
    norm = batch_norm(rng, 2)
    hidden = np.zeros((2, 2))
    for step in range(1, 6):
        x = step + normal(rng, 3, 8, 2)
        norm(tf.constant(x), True)
        seen = np.stack([x.mean((0, 1)), x.var((0, 1))])
        hidden = hidden - (hidden - seen) * (1 - 0.9)
        averages = np.stack([norm.moving_mean.average, norm.moving_variance.average])[:, 0, 0]
        np.testing.assert_allclose(averages, hidden / (1 - 0.9**step), rtol=1e-5)
        assert int(norm.moving_mean._counter) == int(norm.moving_variance._counter) == step


def test_a_variance_much_smaller_than_the_mean_is_not_lost():
    # E[x^2] - E[x]^2 gives 0 in float32; the exact variance is 2.5e-7.
    x = np.tile(np.float32([1000, 1000.001]), 50).reshape(1, 100, 1)
    norm = BatchNorm(1)
    norm(tf.constant(x), True)
    assert norm.moving_variance.average.numpy().item() == pytest.approx(
        x.astype(np.float64).var(), rel=0.05
    )


def test_an_untrained_batch_norm_leaves_its_input_nearly_as_it_is(rng):
    # With both averages at zero, as published, it would multiply by 316.
    x = normal(rng, 2, 5, 3)
    np.testing.assert_allclose(BatchNorm(3)(tf.constant(x), False), x, rtol=1e-4)


def test_batch_norm_takes_the_mean_over_replicas(monkeypatch, rng):
    class TwoReplicas:
        num_replicas_in_sync = 2

        def all_reduce(self, operation, value):
            assert operation == tf.distribute.ReduceOp.MEAN
            return value + 1.0

    monkeypatch.setattr(tf.distribute, "get_replica_context", TwoReplicas)
    norm, x = BatchNorm(2), normal(rng, 3, 8, 2)
    norm(tf.constant(x), True)
    mean = x.mean((0, 1)) + 1
    np.testing.assert_allclose(norm.moving_mean.average[0, 0], mean, atol=1e-5)
    variance = ((x - mean) ** 2).mean((0, 1)) + 1
    np.testing.assert_allclose(norm.moving_variance.average[0, 0], variance, atol=1e-5)


def test_batch_norm_knows_no_replicas_outside_of_them(monkeypatch):
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: None)
    assert layers._replica_mean(5.0) == 5.0


TWO_REPLICAS = """
import numpy as np, sonnet as snt, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfgen.enformer.layers import BatchNorm
reduction = tf.distribute.ReductionToOneDevice()
strategy = snt.distribute.Replicator(["/cpu:0", "/cpu:1"], cross_device_ops=reduction)
with strategy.scope():
    norm = BatchNorm(3)
x = np.random.default_rng(0).normal(2, 3, (4, 10, 3)).astype(np.float32)
pieces = strategy.experimental_distribute_values_from_function(
    lambda c: tf.constant(x[2 * c.replica_id_in_sync_group:][:2]))

@tf.function
def step(pieces):
    def one(piece):
        with tf.GradientTape() as tape:
            tape.watch(piece)
            y = norm(piece, True)
            loss = tf.reduce_sum(y ** 3)
        return y, tape.gradient(loss, piece)
    return strategy.run(one, [pieces])

y, gradient = (np.concatenate(strategy.experimental_local_results(v)) for v in step(pieces))
whole = BatchNorm(3)
with tf.GradientTape() as tape:
    z = tf.constant(x)
    tape.watch(z)
    expected = whole(z, True)
    loss = tf.reduce_sum(expected ** 3)
np.testing.assert_allclose(y, expected, atol=1e-5)
np.testing.assert_allclose(gradient, tape.gradient(loss, z), atol=1e-4)
for one, all_of in ((norm.moving_mean, whole.moving_mean),
                    (norm.moving_variance, whole.moving_variance)):
    for copy in strategy.experimental_local_results(one.average):
        np.testing.assert_allclose(copy, all_of.average, atol=1e-5)
"""


@pytest.mark.slow
def test_two_replicas_normalise_as_one_batch():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TWO_REPLICAS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_layer_norm_normalises_every_position(rng):
    layer, x = LayerNorm(6), normal(rng, 2, 5, 6)
    x[0, 0] = 1e-3 * x[0, 0]  # here the 1e-5 added to the variance shows
    layer.scale.assign(normal(rng, 6))
    layer.offset.assign(normal(rng, 6))
    wide = x.astype(np.float64)
    scaled = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    expected = scaled * layer.scale.numpy() + layer.offset.numpy()
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=1e-5)


def test_attention_pooling_is_a_softmax_over_the_two_positions(rng):
    layer, x = AttentionPool(4), normal(rng, 3, 10, 4)
    np.testing.assert_array_equal(layer.logits.w, 2 * np.eye(4))
    layer.logits.w.assign(normal(rng, 4, 4))
    pairs = x.astype(np.float64).reshape(3, 5, 2, 4)
    exponentials = np.exp(pairs @ layer.logits.w.numpy())
    weights = exponentials / exponentials.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(layer(tf.constant(x)), (weights * pairs).sum(axis=2), atol=1e-5)
    assert [v.shape for v in layer.variables] == [[4, 4]]


def test_max_pooling_takes_the_larger_of_two_positions(rng):
    x = normal(rng, 3, 10, 4)
    pooled = MaxPool()(tf.constant(x))
    np.testing.assert_array_equal(pooled, np.maximum(x[:, ::2], x[:, 1::2]))


@pytest.mark.parametrize("pool", [AttentionPool(4), MaxPool()])
def test_pooling_an_odd_length_is_refused(rng, pool):
    # Two sequences of three positions would otherwise be read as three pairs.
    with pytest.raises(UsageError, match="pooling by two got 3 positions; expected an even"):
        pool(tf.constant(normal(rng, 2, 3, 4)))


@pytest.mark.parametrize("pool", [AttentionPool(4), MaxPool()])
def test_pooling_an_unknown_length(rng, pool):
    x = tf.constant(normal(rng, 2, 6, 4))
    call = tf.function(pool, input_signature=[tf.TensorSpec([None, None, 4])])
    np.testing.assert_allclose(call(x), pool(x), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(x[:, :3])


def test_a_convolution_block_normalises_first(rng):
    block, x = ConvBlock(3, 4, 5), normal(rng, 2, 8, 3)
    block.norm.moving_mean.average.assign(normal(rng, 1, 1, 3))
    expected = block.conv(gelu(block.norm(tf.constant(x), False)))
    np.testing.assert_array_equal(block(tf.constant(x), False), expected)
