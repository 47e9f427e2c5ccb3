"""The whole model: each variant for itself, in graphs and on replicas, from its start on."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from prior.prior_toys import CONFIGS, SCALARS, SHAPE, TRAITS, features, fitted, prior, rows
from tfgen.errors import InputMismatchError, UsageError
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig
from tfgen.prior.heads.prior_model import build_prior

INPUTS = features(12)
SEED = np.array([3, 4], np.int32)
REPOSITORY = Path(__file__).resolve().parents[3]

every_architecture = pytest.mark.parametrize("name", CONFIGS)


@every_architecture
def test_no_variant_sees_another(name):
    model = prior(name)
    together = model(INPUTS).numpy()
    assert together.shape == (12, 2)
    assert together.dtype == np.float32
    for chosen in ([4], [11, 0], list(range(7))):
        alone = model(rows(INPUTS, chosen)).numpy()
        np.testing.assert_allclose(alone, together[chosen], rtol=1e-5, atol=1e-5)


@every_architecture
def test_graphs_compute_the_same(name):
    model = prior(name)
    tensors = {key: tf.constant(value) for key, value in INPUTS.items()}
    eager = model(tensors, training=True, seed=SEED).numpy()

    def call(inputs, seed):
        return model(inputs, training=True, seed=seed)

    for compiled in (False, True):
        graph = tf.function(call, jit_compile=compiled)
        found = graph(tensors, tf.constant(SEED))
        np.testing.assert_allclose(found, eager, rtol=1e-4, atol=1e-5)


@every_architecture
def test_gradients_reach_every_weight_and_are_finite(name):
    model = prior(name)
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(INPUTS, training=True, seed=SEED) ** 2)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient), weight.path


@pytest.mark.parametrize("name", ["mlp", "conv", "transformer"])
def test_the_seed_decides_what_is_dropped(name):
    model = prior(name)
    first = model(INPUTS, training=True, seed=SEED).numpy()
    np.testing.assert_array_equal(model(INPUTS, training=True, seed=SEED), first)
    # In a training step of two passes only the second is recorded.
    with tf.GradientTape():
        np.testing.assert_array_equal(model(INPUTS, training=True, seed=SEED), first)
    other = model(INPUTS, training=True, seed=SEED + 1).numpy()
    assert (other != first).any()
    assert (model(INPUTS).numpy() != first).any()
    np.testing.assert_array_equal(model(INPUTS, seed=SEED), model(INPUTS))
    with pytest.raises(UsageError, match="training with dropout needs a seed.*numbers$"):
        model(INPUTS, training=True)


def test_training_without_dropout_needs_no_seed():
    model = prior("linear")
    np.testing.assert_array_equal(model(INPUTS, training=True), model(INPUTS))


@every_architecture
def test_training_starts_with_the_same_f_for_all(name):
    config = CONFIGS[name]
    if config.arch == "enrichment":
        config = HeadConfig(**{**config.to_json(), "enrich_values": (0.0, 0.0)})
    model = build_prior(config, SHAPE, TRAITS, fitted())
    model.set_start([0.05, 0.4], INPUTS["frequency"])
    f = np.exp(model(INPUTS).numpy())
    np.testing.assert_allclose(f.mean(axis=0), [0.05, 0.4], rtol=1e-5)
    p = INPUTS["frequency"]
    gamma = 0.0 if config.freq_mode == "off" else 0.7
    np.testing.assert_allclose(f[:, 0] / f[0, 0], (p * (1 - p) / (p * (1 - p))[0]) ** gamma, 1e-4)


def test_a_start_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match="cannot start at the mean 1e-09"):
        prior("linear").set_start(1e-9)


def test_clipped_variants_are_counted_for_each_trait():
    model = prior("constant")
    model.weights[0].assign([15.5, 0.0])
    np.testing.assert_array_equal(model.count_clipped(INPUTS), [12, 0])
    assert np.isfinite(model(INPUTS)).all()


def test_the_exponents_are_known():
    trained = prior("linear-flat")
    trained.exponent_weights[0].assign([0.5, 0.25])
    np.testing.assert_array_equal(trained.frequency_exponents, [0.5, 0.25])
    assert prior("linear").frequency_exponents.tolist() == [0.7, 0.7]
    assert prior("mlp-flat").frequency_exponents.tolist() == [0, 0]
    assert prior("linear").exponent_weights == []


def test_inputs_that_are_not_needed_may_be_absent():
    inputs = features(5, SCALARS)
    del inputs["frequency"]
    off = prior(HeadConfig(freq_mode="off"), SCALARS)
    assert np.isfinite(off(inputs)).all()


@pytest.mark.parametrize("name", ["annotations", "tracks", "frequency"])
def test_a_missing_input_is_named(name):
    inputs = {key: value for key, value in INPUTS.items() if key != name}
    message = f"^the prior needs the input '{name}'; give annotations, tracks, frequency$"
    with pytest.raises(UsageError, match=message):
        prior("linear")(inputs)
    with pytest.raises(UsageError, match=message):
        prior("linear").network_output(inputs)


def test_weights_follow_from_the_seed():
    first, again, other = (
        build_prior(CONFIGS["conv"], SHAPE, TRAITS, fitted(), s) for s in (1, 1, 2)
    )
    same = [
        np.array_equal(a.numpy(), b.numpy())
        for a, b in zip(first.weights, again.weights, strict=True)
    ]
    assert all(same)
    changed = [
        a.numpy().tobytes() != b.numpy().tobytes()
        for a, b in zip(first.weights, other.weights, strict=True)
    ]
    assert any(changed)


@every_architecture
def test_weights_have_names_of_their_own(name):
    paths = [weight.path for weight in prior(name).weights]
    assert len(set(paths)) == len(paths)
    # Names do not depend on the models that were made before.
    assert paths == [weight.path for weight in prior(name).weights]


def test_what_does_not_fit_together_is_refused(monkeypatch):
    config = CONFIGS["linear"]
    with pytest.raises(InputMismatchError, match="standardiser was fitted on other features"):
        build_prior(config, SHAPE, TRAITS, fitted(SCALARS))
    with pytest.raises(UsageError, match=r"the traits are \[\]; expected one or more"):
        build_prior(config, SHAPE, (), fitted())
    with pytest.raises(UsageError, match="expected one or more with names of their own"):
        build_prior(config, SHAPE, (TRAITS[0], TRAITS[0]), fitted())
    with pytest.raises(UsageError, match="arch conv reads tracks"):
        build_prior(CONFIGS["conv"], SCALARS, TRAITS, fitted(SCALARS))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Keras runs on jax; .*KERAS_BACKEND=tensorflow"):
        build_prior(config, SHAPE, TRAITS, fitted())


def test_a_constant_of_no_features_counts_the_variants():
    shape = FeatureShape()
    model = prior("constant", shape, standardiser=None)
    assert model(features(5, shape)).shape == (5, 2)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    output = tmp_path_factory.mktemp("replicas") / "replicas.npz"
    done = subprocess.run(
        [sys.executable, "-m", "prior.prior_replicas", output],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), "tests"])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(output) as arrays:
        return dict(arrays)


@every_architecture
def test_two_replicas_train_as_one(name, replicas):
    one, two = replicas[f"{name} one"], replicas[f"{name} two"]
    assert np.isfinite(one).all()
    assert (one != replicas[f"{name} before"]).any()
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)


def test_a_model_on_replicas_is_saved_and_loaded(replicas):
    np.testing.assert_array_equal(replicas["saved"], replicas["on replicas"])
