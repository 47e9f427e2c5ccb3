"""Pooling, positions and attention against loops in numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.prior.heads.layer_factory import LayerFactory
from tfgen.prior.heads.sequence_layers import (
    KEY_SIZE,
    AttentionPooling,
    RelativeAttention,
    position_basis,
    sigmoid_gelu,
)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def attention(rates=(0.0, 0.0), dim=24, heads=2, length=5):
    layer = RelativeAttention(dim, heads, length, "attention", LayerFactory(3), rates)
    generator = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(generator.normal(0, 0.3, weight.shape))
    return layer


def test_gelu_is_the_sigmoid_form():
    x = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(sigmoid_gelu(tf.constant(x)), x / (1 + np.exp(-1.702 * x)))


def test_position_functions_are_those_of_the_enformer():
    # Evaluated one by one by the definitions in Avsec et al. 2021, Methods.
    length, count = 32, 4
    basis = position_basis(length, 6 * count)
    half_lives = 2 ** np.linspace(3, 5, count)
    deviation = length / (2 * count)

    def gamma_density(x, mean):
        k, rate = (mean / deviation) ** 2, mean / deviation**2
        if x == 0:
            return 1e-8
        log = k * math.log(rate) + (k - 1) * math.log(x) - rate * x - math.lgamma(k)
        return math.exp(log) + 1e-8

    means = np.linspace(length / count, length, count)
    largest = [max(gamma_density(d, m) for d in range(length)) for m in means]
    for distance in range(-length + 1, length):
        d = abs(distance)
        expected = [2 ** (-d / h) for h in half_lives]
        expected += [float(d < 2**k - 1) for k in range(1, count + 1)]
        expected += [gamma_density(d, m) / top for m, top in zip(means, largest, strict=True)]
        row = basis[distance + length - 1]
        np.testing.assert_allclose(row[: 3 * count], expected, rtol=1e-5)
        np.testing.assert_allclose(row[3 * count :], np.sign(distance) * np.array(expected), 1e-5)


@pytest.mark.parametrize(("length", "columns"), [(2, 192), (32, 768), (4, 6), (1, 6)])
def test_position_functions_are_finite_at_every_size(length, columns):
    basis = position_basis(length, columns)
    assert basis.shape == (2 * length - 1, columns)
    assert np.isfinite(basis).all()
    assert np.abs(basis).max() <= 1


@pytest.mark.parametrize("columns", [0, 5, 8])
def test_position_functions_come_in_sixes(columns):
    with pytest.raises(UsageError, match=f"position columns are {columns}; .*multiple of 6"):
        position_basis(4, columns)


def test_pooling_is_a_softmax_over_two_neighbours():
    layer = AttentionPooling(3, "pooling", LayerFactory(0))
    (kernel,) = layer.weights
    np.testing.assert_array_equal(kernel.numpy(), 2 * np.eye(3))
    kernel.assign(np.random.default_rng(1).normal(size=(3, 3)))
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)
    expected = np.zeros((2, 4, 3))
    for row in range(2):
        for pair in range(4):
            values = x[row, 2 * pair : 2 * pair + 2]
            expected[row, pair] = (values * softmax(values @ kernel.numpy(), 0)).sum(axis=0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_attention_is_that_of_a_loop_over_queries_and_keys():
    dim, heads, length = 24, 2, 5
    layer = attention(dim=dim, heads=heads, length=length)
    w = {weight.path.replace("attention_", ""): weight.numpy() for weight in layer.weights}
    x = np.random.default_rng(1).normal(size=(3, length, dim)).astype(np.float32)
    relative = position_basis(length, dim // heads) @ w["position/kernel"]
    expected = np.zeros((3, length, dim))
    for n in range(3):
        query, key, value = (x[n] @ w[f"{name}/kernel"] for name in ("query", "key", "value"))
        for h in range(heads):
            k = slice(h * KEY_SIZE, (h + 1) * KEY_SIZE)
            v = slice(h * dim // heads, (h + 1) * dim // heads)
            logits = np.zeros((length, length))
            for i in range(length):
                q = query[i, k] / math.sqrt(KEY_SIZE)
                for j in range(length):
                    content = (q + w["attention/content_bias"][h, 0]) @ key[j, k]
                    place = relative[j - i + length - 1, k]
                    position = (q + w["attention/position_bias"][h, 0]) @ place
                    logits[i, j] = content + position
            expected[n, :, v] = softmax(logits, 1) @ value[:, v]
    expected = expected @ w["output/kernel"] + w["output/bias"]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_the_output_weights_start_at_zero():
    layer = RelativeAttention(12, 1, 4, "fresh", LayerFactory(0), (0.0, 0.0))
    x = tf.random.stateless_normal([2, 4, 12], [0, 0])
    assert not layer(x).numpy().any()


@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.0, 0.3)])
def test_each_dropout_of_attention_acts_in_training_alone(rates):
    layer = attention(rates)
    x = tf.random.stateless_normal([2, 5, 24], [0, 0])
    seed = tf.constant([1, 2], tf.int32)
    assert (layer(x, seed).numpy() != layer(x).numpy()).any()
    np.testing.assert_array_equal(layer(x, seed), layer(x, seed))
    np.testing.assert_array_equal(layer(x), attention()(x))
