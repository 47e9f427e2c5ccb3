"""The networks over tracks: published sizes, and what they see."""

import dataclasses

import numpy as np
import pytest

from prior.prior_toys import CONFIGS, SHAPE, TRAITS, features, fitted, prior, without_dropout
from tfgen.prior.heads.head_config import UPSTREAM_SMALL, UPSTREAM_UKB, FeatureShape, TraitScale
from tfgen.prior.heads.prior_model import build_prior
from tfgen.prior.heads.sequence_head import stage_widths
from tfgen.prior.heads.standardise import Standardiser

INPUTS = features(6)


@pytest.mark.parametrize(
    ("config", "n_weights"), [(UPSTREAM_UKB, 52_087_809), (UPSTREAM_SMALL, 3_843_201)]
)
@pytest.mark.parametrize("n_annotations", [9, 40])
def test_the_transformer_has_as_many_parameters_as_the_published_ones(
    config, n_weights, n_annotations
):
    # Counts recomputed from the description of the network of arXiv:2506.19598 with 174 features:
    # 165 tracks and 9 annotations; only their sum matters.
    shape = FeatureShape(
        tuple(f"annotation {i}" for i in range(n_annotations)),
        tuple(f"track {i}" for i in range(174 - n_annotations)),
        256,
    )
    trait = (TraitScale("height", 407_527, 3e6),)
    model = build_prior(config, shape, trait, Standardiser.identity(shape))
    assert model.count_params() == n_weights
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == n_weights


@pytest.mark.parametrize(
    ("dim", "halvings", "widths"),
    [
        (1536, 3, (768, 768, 1536)),
        (384, 2, (192, 384)),
        (96, 4, (48, 48, 68, 96)),
        (96, 5, (48, 48, 60, 76, 96)),
    ],
)
def test_stages_grow_geometrically_to_the_full_width(dim, halvings, widths):
    assert stage_widths(dim, halvings) == widths


@pytest.mark.parametrize("name", ["conv", "conv-deep", "transformer"])
def test_every_position_and_annotation_is_seen(name):
    model = prior(without_dropout(CONFIGS[name]))
    before = model(INPUTS).numpy()
    for position in (0, 7, 15):
        moved = {**INPUTS, "tracks": INPUTS["tracks"].copy()}
        moved["tracks"][:, position] += 3.0
        assert (model(moved).numpy() != before).all(axis=1).any(), position
    moved = {**INPUTS, "annotations": INPUTS["annotations"] + 3.0}
    assert (model(moved).numpy() != before).all(axis=1).any()


@pytest.mark.parametrize("name", ["conv", "transformer"])
def test_the_order_of_positions_matters(name):
    model = prior(name)
    reversed_tracks = {**INPUTS, "tracks": INPUTS["tracks"][:, ::-1]}
    assert not np.allclose(model(INPUTS), model(reversed_tracks), rtol=1e-3)


def test_every_dropout_of_the_transformer_is_off_at_rate_zero():
    model = prior(without_dropout(CONFIGS["transformer"]))
    seed = np.array([1, 2], np.int32)
    np.testing.assert_array_equal(model(INPUTS, training=True, seed=seed), model(INPUTS))


@pytest.mark.parametrize("length", [1, 3, 5, 13])
def test_convolutions_take_tracks_of_any_length(length):
    shape = FeatureShape(SHAPE.annotation_names, SHAPE.track_names, length)
    config = dataclasses.replace(CONFIGS["conv"], depth=3)
    model = build_prior(config, shape, TRAITS, fitted(shape))
    assert model(features(4, shape)).shape == (4, 2)


def test_a_transformer_reads_tracks_without_annotations():
    shape = FeatureShape((), ("dnase",), 16)
    model = prior("transformer", shape, standardiser=Standardiser.identity(shape))
    inputs = features(4, FeatureShape(("x",), ("dnase",), 16))
    inputs["annotations"] = inputs["annotations"][:, :0]
    assert np.isfinite(model(inputs)).all()
