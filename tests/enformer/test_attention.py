import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from enformer.numpy_enformer import NumpyEnformer, position_features
from enformer.small import TINY
from tfgen.enformer import attention
from tfgen.enformer.attention import Attention, relative_logits
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.positions import position_basis
from tfgen.errors import UsageError

LENGTH = 8


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def basis(config=TINY):
    return tf.constant(
        position_basis(config.basis_length, config.value_size, config.position_basis)
    )


@pytest.fixture
def layer(rng):
    """Attention whose output projection, too, is not zero."""
    made = Attention(TINY)
    for variable in made.variables:
        variable.assign(normal(rng, *variable.shape))
    return made


def by_loops(layer, x):
    """The same sequences one logit at a time in float64."""
    names = ("q_layer", "k_layer", "v_layer", "r_k_layer", "embedding_layer")
    weights = {f"a/_{name}/w": getattr(layer, name).w.numpy() for name in names}
    weights["a/_embedding_layer/b"] = layer.embedding_layer.b.numpy()
    weights["a/_r_w_bias"] = layer.r_w_bias.numpy()
    weights["a/_r_r_bias"] = layer.r_r_bias.numpy()
    oracle = NumpyEnformer(weights, TINY.num_heads, TINY.basis_length, layers=0)
    return np.stack([oracle.attend("a", sequence.astype(np.float64)) for sequence in x])


@pytest.mark.parametrize(
    ("first", "rows", "length", "basis_length"),
    [
        (0, 5, 5, 5),
        (0, 1, 5, 5),
        (4, 1, 5, 5),
        (2, 3, 5, 5),
        (0, 5, 5, 9),
        (3, 2, 5, 20),
        (0, 1, 1, 1),
        (7, 1, 8, 12),
        (1, 6, 8, 8),
    ],
)
def test_relative_logits_look_up_the_distance_key_minus_query(
    rng, first, rows, length, basis_length
):
    queries, keys = normal(rng, 2, 3, rows, 4), normal(rng, 1, 3, 2 * basis_length - 1, 4)
    found = relative_logits(tf.constant(queries), tf.constant(keys), first, length).numpy()
    assert found.shape == (2, 3, rows, length)
    for batch in range(2):
        for head in range(3):
            for row in range(rows):
                for key in range(length):
                    distance = key - (first + row)
                    expected = (
                        queries[batch, head, row] @ keys[0, head, distance + basis_length - 1]
                    )
                    assert found[batch, head, row, key] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("first", "length"), [(0, 5), (2, 5), (0, 9)])
def test_relative_keys_that_do_not_reach_far_enough_are_refused(rng, first, length):
    queries, keys = normal(rng, 1, 1, 3, 4), normal(rng, 1, 1, 2 * 4 - 1, 4)
    with pytest.raises(UsageError, match=f"reach 3 bins, queries {first} to .* make the basis"):
        relative_logits(tf.constant(queries), tf.constant(keys), first, length)


def test_attention_is_that_of_the_formula(layer, rng):
    x = normal(rng, 2, LENGTH, TINY.channels)
    found = layer(tf.constant(x), False, layer.relative_keys(basis(), False))
    np.testing.assert_allclose(found, by_loops(layer, x), rtol=1e-4, atol=1e-4)


def test_relative_keys_are_the_projected_basis(layer):
    keys = layer.relative_keys(basis(), False).numpy()
    assert keys.shape == (1, TINY.num_heads, 2 * TINY.basis_length - 1, TINY.key_size)
    for distance in (-15, -3, 0, 1, 15):
        row = position_features(distance, TINY.basis_length, TINY.value_size)
        expected = (row @ layer.r_k_layer.w.numpy()).reshape(TINY.num_heads, TINY.key_size)
        np.testing.assert_allclose(keys[0, :, distance + 15], expected, atol=1e-4)


@pytest.mark.parametrize("block", [1, 3, 4, 8, 100])
def test_the_size_of_the_query_blocks_does_not_matter(layer, rng, monkeypatch, block):
    x = tf.constant(normal(rng, 2, LENGTH, TINY.channels))
    keys = layer.relative_keys(basis(), False)
    whole = layer(x, False, keys)
    monkeypatch.setattr(attention, "_QUERY_BLOCK", block)
    np.testing.assert_allclose(layer(x, False, keys), whole, atol=1e-5)


@pytest.mark.parametrize("queries", [(0, 8), (0, 1), (7, 8), (2, 7)])
def test_some_queries_give_some_rows(layer, rng, queries):
    x = tf.constant(normal(rng, 2, LENGTH, TINY.channels))
    keys = layer.relative_keys(basis(), False)
    part = layer(x, False, keys, queries)
    np.testing.assert_allclose(part, layer(x, False, keys)[:, slice(*queries)], atol=1e-5)


def test_a_fresh_layer_adds_nothing(rng):
    fresh = Attention(TINY)
    x = tf.constant(normal(rng, 2, LENGTH, TINY.channels))
    assert not fresh(x, False, fresh.relative_keys(basis(), False)).numpy().any()


def test_initial_values_have_the_published_spread():
    fresh = Attention(EnformerConfig(channels=384, num_heads=4, num_transformer_layers=1))
    assert not fresh.embedding_layer.w.numpy().any()
    for name, fan_in in [("q_layer", 384), ("k_layer", 384), ("v_layer", 384), ("r_k_layer", 96)]:
        weights = getattr(fresh, name).w.numpy()
        assert weights.std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    # The generic rule takes the heads for the fan-in of a bias [1, heads, 1, keys].
    biases = np.concatenate([fresh.r_w_bias.numpy().ravel(), fresh.r_r_bias.numpy().ravel()])
    assert biases.shape == (2 * 4 * 64,)
    assert biases.std() == pytest.approx((2 / 4) ** 0.5, rel=0.15)


def without_dropout(**rates):
    return dataclasses.replace(
        TINY,
        **{"dropout_rate": 0.0, "attention_dropout_rate": 0.0, "positional_dropout_rate": 0.0}
        | rates,
    )


def test_training_without_dropout_is_inference(rng):
    made = Attention(without_dropout())
    made.embedding_layer.w.assign(normal(rng, *made.embedding_layer.w.shape))
    x = tf.constant(normal(rng, 2, LENGTH, TINY.channels))
    training = made(x, True, made.relative_keys(basis(), True))
    np.testing.assert_array_equal(training, made(x, False, made.relative_keys(basis(), False)))


def test_attention_weights_are_dropped_in_training(rng):
    made = Attention(without_dropout(attention_dropout_rate=0.5))
    made.q_layer.w.assign(tf.zeros_like(made.q_layer.w))  # equal weights of 1/8 ...
    for bias in (made.r_w_bias, made.r_r_bias):
        bias.assign(tf.zeros_like(bias))
    made.v_layer.w.assign(tf.eye(TINY.channels))
    made.embedding_layer.w.assign(tf.eye(TINY.channels))
    x = tf.ones([50, LENGTH, TINY.channels])
    keys = made.relative_keys(basis(), True)
    np.testing.assert_allclose(made(x, False, keys), 1, atol=1e-5)
    trained = made(x, True, keys).numpy()
    # ... of which each survives doubled: the sum is a multiple of 2/8 with the mean one.
    np.testing.assert_allclose(trained * 4, np.round(trained * 4), atol=1e-4)
    assert trained.std() == pytest.approx(8**-0.5, rel=0.1)
    assert trained.mean() == pytest.approx(1, abs=0.05)


def test_position_features_are_dropped_in_training():
    made = Attention(without_dropout(positional_dropout_rate=0.25))
    made.r_k_layer.w.assign(np.eye(12, 10))
    features = tf.ones([2 * 400 - 1, 12])
    kept = made.relative_keys(features, True).numpy()
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(made.relative_keys(features, False), np.ones_like(kept))
