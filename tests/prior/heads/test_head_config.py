"""Architectures, features and traits as data."""

import dataclasses
import json

import pytest

from prior.prior_toys import CONFIGS, SHAPE
from tfgen.errors import InputFormatError, UsageError
from tfgen.prior.heads.head_config import (
    PRESETS,
    UPSTREAM_SMALL,
    UPSTREAM_UKB,
    FeatureShape,
    HeadConfig,
    TraitScale,
    transformer_halvings,
)

ENRICHMENT = {
    "arch": "enrichment",
    "enrich_indices": (0,),
    "enrich_values": (1.0,),
    "enrich_thresholds": (0.5,),
}


@pytest.mark.parametrize("config", [*CONFIGS.values(), *PRESETS.values()])
def test_a_configuration_survives_json(config):
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_features_and_traits_survive_json():
    trait = TraitScale("height", 407_527, 3e6)
    assert FeatureShape.from_json(json.loads(json.dumps(SHAPE.to_json()))) == SHAPE
    assert TraitScale.from_json(json.loads(json.dumps(trait.to_json()))) == trait


def test_the_presets_are_those_of_the_paper():
    assert (UPSTREAM_UKB.dim, UPSTREAM_UKB.target_length) == (1536, 32)
    assert (UPSTREAM_UKB.heads, UPSTREAM_UKB.depth) == (2, 2)
    assert dataclasses.replace(UPSTREAM_UKB, dim=384) == UPSTREAM_SMALL


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "rnn"}, "arch is 'rnn'; use one of constant, linear"),
        ({"link": "log"}, "link is 'log'; use one of exp, softplus, relu"),
        ({"freq_mode": "on"}, "freq_mode is 'on'; use one of off, fixed, trained"),
        ({"dim": 0}, "dim is 0; expected 1 or more"),
        ({"depth": -1}, "depth is -1; expected 1 or more"),
        ({"hidden": (8, 0)}, r"hidden is \(8, 0\); expected widths"),
        ({"dropout": 1.0}, "dropout is 1.0; expected a share from 0 to below 1"),
        ({"clip": 0.0}, "clip is 0.0; expected a number above 0"),
        ({"clip": float("nan")}, "clip is nan"),
        ({"freq_exponent": float("inf")}, "freq_exponent is inf; expected a number"),
        ({"arch": "transformer", "dim": 20}, "dim is 20; .* must be a multiple of 12"),
        ({"arch": "transformer", "dim": 20, "heads": 3}, "must be a multiple of 18"),
        ({"arch": "transformer", "dim": 9, "heads": 1}, "must be a multiple of 6"),
        ({"arch": "enrichment"}, "0 indices, 0 values and 0 thresholds"),
        ({**ENRICHMENT, "enrich_values": (1.0, 2.0)}, "1 indices, 2 values and 1 thresholds"),
        ({**ENRICHMENT, "enrich_thresholds": (float("nan"),)}, "not finite"),
    ],
)
def test_a_setting_without_a_meaning_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        HeadConfig(**settings)


def test_no_exponent_turns_the_frequency_term_off():
    assert HeadConfig(freq_exponent=None, freq_mode="trained").freq_mode == "off"


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"arch": "conv"}, FeatureShape(("a",)), "arch conv reads tracks and the features have"),
        ({"arch": "transformer"}, FeatureShape(("a",)), "--bigwig_mode=window"),
        ({"arch": "mlp"}, FeatureShape(), "arch mlp reads features and there are none"),
        ({"arch": "transformer"}, SHAPE, "the tracks have 16 positions, which two or more"),
        ({**ENRICHMENT, "enrich_indices": (5,)}, SHAPE, "enrich_indices has 5; expected 0 to 4"),
        ({**ENRICHMENT, "enrich_indices": (-1,)}, SHAPE, "enrich_indices has -1"),
        ({**ENRICHMENT, "enrich_window": 17}, SHAPE, "enrich_window is 17; the tracks have 16"),
    ],
)
def test_features_that_an_architecture_cannot_read_are_refused(settings, shape, message):
    with pytest.raises(UsageError, match=message):
        HeadConfig(**settings).check_shape(shape)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_features_that_it_can_read_are_not(config):
    config.check_shape(SHAPE)


def test_a_constant_needs_no_features():
    HeadConfig(arch="constant").check_shape(FeatureShape())


@pytest.mark.parametrize(("length", "target", "halvings"), [(256, 32, 3), (16, 4, 2), (8, 1, 3)])
def test_the_length_is_halved_as_often_as_it_takes(length, target, halvings):
    assert transformer_halvings(length, target) == halvings


@pytest.mark.parametrize(("length", "target"), [(16, 8), (16, 16), (16, 32), (20, 3)])
def test_lengths_that_halving_does_not_reach_are_refused(length, target):
    with pytest.raises(UsageError, match=f"{length} positions.*target_length {target}"):
        transformer_halvings(length, target)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("a", "b", "a"),), "annotation 'a' comes twice"),
        (((), ("t", "t"), 4), "track 't' comes twice"),
        (((), ("t",)), "1 tracks of 0 positions"),
        (((), (), 8), "0 tracks of 8 positions"),
        (((), (), -1), "0 tracks of -1 positions"),
    ],
)
def test_contradictory_features_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        FeatureShape(*arguments)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_a_trait_needs_positive_numbers(scale):
    with pytest.raises(UsageError, match="trait 'x': n_(eff|variants) is .*above 0"):
        TraitScale("x", *scale)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, r"config: unknown entries \['extra'\], missing entries \[\]"),
        ({"dim": "wide"}, "config: dim is 'wide'; expected a value like 96"),
        ({"dim": True}, "config: dim is True"),
        ({"hidden": [1.5]}, r"config: hidden is \[1.5\]"),
        ({"enrich_values": 3}, "config: enrich_values is 3"),
        ({"clip": None}, "config: clip is None"),
        ({"dropout": 2}, "config: dropout is 2; expected a share"),
    ],
)
def test_json_of_another_kind_is_refused(change, message):
    with pytest.raises(InputFormatError, match=message):
        HeadConfig.from_json({**HeadConfig().to_json(), **change})


def test_json_must_hold_every_entry_and_have_names():
    with pytest.raises(InputFormatError, match=r"trait: unknown entries \[\], missing entries"):
        TraitScale.from_json({"name": "x"})
    with pytest.raises(InputFormatError, match="features: found 3; expected named entries"):
        FeatureShape.from_json(3)


def test_a_missing_exponent_is_null_in_json():
    config = HeadConfig(freq_exponent=None)
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
