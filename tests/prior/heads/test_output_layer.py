"""The scale, link, clip and frequency term against formulas in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from prior.prior_toys import SHAPE, TRAITS, features, fitted
from tfgen.errors import UsageError
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.heads.output_layer import (
    OutputLayer,
    StandardiseLayer,
    log_heterozygosity,
    log_link,
)
from tfgen.prior.heads.standardise import Standardiser

X = np.linspace(-20, 20, 41, dtype=np.float32)
LOG_SCALE = np.log([4e5 / 1e6, 3e5 / 1e6])


def layer(**settings):
    return OutputLayer(HeadConfig(arch="constant", **settings), TRAITS)


@pytest.mark.parametrize(
    ("link", "value"),
    [
        ("exp", np.exp),
        ("softplus", lambda x: np.maximum(np.log1p(np.exp(x)), 1e-5)),
        ("relu", lambda x: np.maximum(x, 1e-5)),
    ],
)
def test_links(link, value):
    expected = np.log(value(X.astype(np.float64)))
    np.testing.assert_allclose(log_link(tf.constant(X), link), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("exponent", [0.7, -0.3])
def test_log_f_is_the_sum_of_its_parts(exponent):
    x = np.stack([X, X / 2], axis=1)
    p = np.linspace(0.01, 0.99, 41).astype(np.float32)
    expected = LOG_SCALE + exponent * np.log(2.0 * p * (1 - p))[:, None] + np.clip(x, -15, 15)
    for mode in ("fixed", "trained"):
        found = layer(freq_mode=mode, freq_exponent=exponent)(x, p)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    found = layer(freq_mode="off")(x)
    np.testing.assert_allclose(found, LOG_SCALE + np.clip(x, -15, 15), rtol=1e-5)


def test_each_trait_trains_an_exponent_of_its_own():
    trained = layer(freq_mode="trained")
    assert [tuple(weight.shape) for weight in trained.trainable_weights] == [(2,)]
    trained.trainable_weights[0].assign([0.0, 1.0])
    found = trained(np.zeros((1, 2), np.float32), np.array([0.25], np.float32))
    np.testing.assert_allclose(found[0], LOG_SCALE + [0, np.log(0.375)], rtol=1e-5)
    assert not layer(freq_mode="fixed").weights


def test_the_frequency_of_either_allele_gives_the_same_and_none_is_infinite():
    p = np.array([0, 1e-9, 1e-5, 0.2, 0.5], np.float32)
    found = log_heterozygosity(tf.constant(p)).numpy()
    np.testing.assert_allclose(log_heterozygosity(tf.constant(1 - p)), found, rtol=1e-3)
    np.testing.assert_allclose(found[:3], np.log(2e-5), rtol=1e-5)
    np.testing.assert_allclose(found[3:], np.log([0.32, 0.5]), rtol=1e-6)


@pytest.mark.parametrize("link", ["exp", "softplus", "relu"])
def test_clipped_is_where_there_is_no_gradient(link):
    # Not at the corners, where the gradient is a matter of taste.
    x = tf.constant(np.array([-16, -14.9, -12, -11, -1, 1e-6, 1, 14.9, 16, 4e6], np.float32))
    x = tf.stack([x, x], axis=1)
    output = layer(link=link, freq_mode="off")
    with tf.GradientTape() as tape:
        tape.watch(x)
        log_f = output(x)
    dead = tape.gradient(log_f, x).numpy() == 0
    assert dead.any()
    np.testing.assert_array_equal(output.is_clipped(x), dead)


@pytest.mark.parametrize("link", ["exp", "softplus", "relu"])
@pytest.mark.parametrize("mode", ["off", "fixed", "trained"])
def test_the_start_gives_f_its_mean(link, mode):
    output = layer(link=link, freq_mode=mode)
    p = np.random.default_rng(0).uniform(0.01, 0.5, 300).astype(np.float32)
    for mean in (0.02, [0.5, 3.0]):
        x = output.start(mean, p)
        f = np.exp(output(np.tile(x, (300, 1)), p))
        np.testing.assert_allclose(f.mean(axis=0), mean, rtol=1e-4)
        x = output.start(mean, None)
        found = np.exp(output(x[None], np.array([0.5], np.float32)))[0]
        np.testing.assert_allclose(found, np.broadcast_to(mean, 2), rtol=1e-4)


@pytest.mark.parametrize("mean", [0.0, -1.0, float("nan"), float("inf")])
def test_a_mean_must_be_positive(mean):
    with pytest.raises(UsageError, match="the mean of f to start from is .*above 0"):
        layer().start(mean, None)


@pytest.mark.parametrize(
    ("link", "mean"), [("exp", 1e-8), ("exp", 1e8), ("softplus", 1e-6), ("relu", 1e-6)]
)
def test_a_mean_beyond_the_clip_is_refused(link, mean):
    with pytest.raises(UsageError, match="cannot start at the mean .*outside"):
        layer(link=link).start(mean, None)


@pytest.mark.parametrize("standardiser", [fitted(), Standardiser.identity(SHAPE)])
def test_tensors_are_standardised_as_arrays_are(standardiser):
    inputs = features(20)
    inputs["tracks"][3, 4, 1] = np.nan
    inputs["annotations"][5, 2] = 1e9
    annotations, tracks = StandardiseLayer(standardiser)(inputs["annotations"], inputs["tracks"])
    expected = standardiser.apply_annotations(inputs["annotations"])
    np.testing.assert_array_equal(annotations, expected)
    np.testing.assert_array_equal(tracks, standardiser.apply_tracks(inputs["tracks"]))
    scalars, none = StandardiseLayer(standardiser)(inputs["annotations"])
    np.testing.assert_array_equal(scalars, expected)
    assert none is None


def test_a_missing_feature_does_not_spoil_the_gradients_of_the_others():
    annotations = tf.constant([[np.nan, 1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(annotations)
        scaled, _ = StandardiseLayer(fitted())(annotations)
    gradient = tape.gradient(scaled, annotations).numpy()[0]
    np.testing.assert_allclose(gradient, [0, *(1 / fitted().annotations.sd[1:])], rtol=1e-5)
