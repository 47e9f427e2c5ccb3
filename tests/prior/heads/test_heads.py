"""The simple networks against the same sums in numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from prior.prior_toys import CONFIGS, SCALARS, SHAPE, TRAITS, features, fitted, prior
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.heads.heads import Head
from tfgen.prior.heads.prior_model import build_prior

INPUTS = features(30)


def weights(model):
    return {weight.path: weight.numpy().astype(np.float64) for weight in model.weights}


def standardised(shape=SHAPE):
    inputs, standardiser = features(30, shape), fitted(shape)
    annotations = standardiser.apply_annotations(inputs["annotations"])
    tracks = standardiser.apply_tracks(inputs["tracks"]) if shape.track_names else None
    return inputs, annotations, tracks


def test_a_constant_is_its_bias():
    model = prior("constant")
    expected = np.tile(weights(model)["head/bias"], (30, 1))
    np.testing.assert_allclose(model.network_output(INPUTS), expected, rtol=1e-6)


@pytest.mark.parametrize("average", [True, False])
def test_linear_is_a_weighted_sum_over_root_of_the_number_of_inputs(average):
    model = prior(HeadConfig(arch="linear", average_tracks=average))
    w = weights(model)
    _, annotations, tracks = standardised()
    flat = tracks.mean(axis=1) if average else tracks.reshape(30, -1)
    assert (annotations.shape, flat.shape) == ((30, 5), (30, 2 if average else 32))
    expected = (
        w["head/bias"]
        + annotations @ w["head/annotation_weights"] / math.sqrt(5)
        + flat @ w["head/track_weights"] / math.sqrt(flat.shape[1])
    )
    np.testing.assert_allclose(model.network_output(INPUTS), expected, rtol=1e-4, atol=1e-5)


def test_linear_without_tracks_has_no_weights_for_them():
    model = prior("linear", SCALARS)
    inputs, annotations, _ = standardised(SCALARS)
    w = weights(model)
    assert "head/track_weights" not in w
    expected = w["head/bias"] + annotations @ w["head/annotation_weights"] / math.sqrt(5)
    np.testing.assert_allclose(model.network_output(inputs), expected, rtol=1e-4, atol=1e-5)


def test_enrichments_add_up_over_raw_features():
    model = build_prior(CONFIGS["enrichment"], SHAPE, TRAITS, fitted())
    # Of 16 positions the central 4; feature 0 is the first track, feature 2 the first annotation.
    track = INPUTS["tracks"][:, 6:10, 0].sum(axis=1) > 0.0
    annotation = INPUTS["annotations"][:, 0]
    above = np.nan_to_num(annotation, nan=-np.inf) > 0.5
    assert track.any()
    assert not track.all()
    assert np.isnan(annotation).any()
    expected = np.tile((1.5 * track - 0.5 * above)[:, None], 2)
    np.testing.assert_allclose(model.network_output(INPUTS), expected, rtol=1e-6)


def test_enrichments_work_without_tracks_and_over_a_whole_track():
    settings = {
        "arch": "enrichment",
        "enrich_indices": (2,),
        "enrich_values": (1.0,),
        "enrich_thresholds": (2.0,),
    }
    scalars = features(30, SCALARS)
    model = build_prior(HeadConfig(**settings), SCALARS, TRAITS, fitted(SCALARS))
    expected = scalars["annotations"][:, 2] > 2
    np.testing.assert_array_equal(model.network_output(scalars)[:, 0], expected)
    settings["enrich_indices"] = (1,)
    model = build_prior(HeadConfig(**settings, enrich_window=16), SHAPE, TRAITS, fitted())
    expected = INPUTS["tracks"][:, :, 1].sum(axis=1) > 2
    np.testing.assert_array_equal(model.network_output(INPUTS)[:, 1], expected)


@pytest.mark.parametrize("trained", [True, False])
def test_a_known_truth_is_not_trained(trained):
    config = HeadConfig(
        arch="enrichment",
        enrich_indices=(2,),
        enrich_values=(1.0,),
        enrich_thresholds=(0.5,),
        enrich_trained=trained,
    )
    model = build_prior(config, SHAPE, TRAITS, fitted())
    trainable = [weight.path for weight in model.trainable_weights]
    assert trainable == ["head/bias", "head/values"][: 1 + trained]


@pytest.mark.parametrize("name", ["mlp", "mlp-flat"])
def test_dense_layers_are_those_of_numpy(name):
    model = prior(name)
    w = weights(model)
    _, annotations, tracks = standardised()
    average = CONFIGS[name].average_tracks
    flat = tracks.mean(axis=1) if average else tracks.reshape(30, -1)
    x = np.concatenate([annotations, flat], axis=1)
    for layer in range(len(CONFIGS[name].hidden)):
        x = x @ w[f"hidden_{layer}/kernel"] + w[f"hidden_{layer}/bias"]
        x *= 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    expected = x @ w["last/kernel"] + w["head/bias"]
    np.testing.assert_allclose(model.network_output(INPUTS), expected, rtol=1e-4, atol=1e-4)


def test_the_base_class_computes_nothing():
    with pytest.raises(NotImplementedError):
        Head(1).call(tf.zeros([1, 1]))
