import dataclasses
import json

import pytest

from tfgen.enformer.config import EnformerConfig
from tfgen.errors import InputFormatError, UsageError


def config(**changes):
    """A small valid configuration with changes."""
    base = {
        "channels": 96,
        "num_heads": 4,
        "divisible_by": 8,
        "sequence_length": 4096,
        "target_length": 16,
        "basis_length": 32,
    }
    return EnformerConfig(**{**base, **changes})


# What the published code prints for these widths.
@pytest.mark.parametrize(
    ("channels", "stem", "filters"),
    [
        (1536, 768, (768, 896, 1024, 1152, 1280, 1536)),
        (1152, 576, (512, 640, 768, 896, 1024, 1152)),
        (768, 384, (384, 384, 512, 640, 640, 768)),
        (384, 192, (256, 256, 256, 256, 384, 384)),
    ],
)
def test_filters_are_the_published_ones(channels, stem, filters):
    made = EnformerConfig(channels=channels)
    assert made.stem_channels == stem
    assert made.tower_channels == filters


def test_the_default_is_the_published_model():
    published = EnformerConfig()
    assert published.num_bins == 1536
    assert published.crop_bins == 320
    assert published.value_size == 192
    assert published.heads == (("human", 5313), ("mouse", 1643))


def test_narrow_models_are_possible_with_a_finer_rounding():
    # 48 * 2^(i/5) = 48, 55.1, 63.3, 72.8, 83.6, 96
    assert config().tower_channels == (48, 56, 64, 72, 80, 96)
    assert config(divisible_by=1).tower_channels == (48, 55, 63, 73, 84, 96)


def test_halves_are_rounded_to_the_even_multiple():
    # 12 / 8 = 1.5 -> 2 and 60 / 24 = 2.5 -> 2
    assert config(channels=24, divisible_by=8).tower_channels[0] == 16
    assert config(channels=120, num_heads=1, divisible_by=24).tower_channels[0] == 48


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 0}, "channels is 0; it must be at least 1"),
        ({"num_heads": 0}, "num_heads is 0; it must be at least 1"),
        ({"target_length": 0}, "target_length is 0; it must be at least 1"),
        ({"divisible_by": -1}, "divisible_by is -1; it must be at least 1"),
        ({"key_size": 0}, "key_size is 0; it must be at least 1"),
        ({"num_transformer_layers": -1}, "num_transformer_layers is -1; it cannot be negative"),
        ({"channels": 100}, "channels is 100; it must be a multiple of 24 .*num_heads=4"),
        ({"divisible_by": 7}, "the last tower stage rounds it to a multiple of 7: choose"),
        ({"divisible_by": 96}, "divisible_by is 96; it rounds a tower stage .* to zero filters"),
        ({"sequence_length": 4000}, "sequence_length is 4000; it must be a multiple of 128"),
        ({"sequence_length": 0}, "sequence_length is 0; it must be a multiple of 128"),
        ({"target_length": 33}, "target_length is 33; 32 bins cannot be cropped"),
        ({"target_length": 15}, "target_length is 15; 32 bins cannot be cropped"),
        ({"basis_length": 31}, "basis_length is 31, shorter than the 32 bins of .* 4096"),
        ({"pooling_type": "mean"}, "pooling_type is 'mean'; use attention or max"),
        ({"position_basis": "exact"}, "position_basis is 'exact'; use reference or float64"),
        ({"heads": ()}, r"heads are \(\); expected distinct names"),
        ({"heads": (("human", 1), ("human", 2))}, "expected distinct names"),
        ({"heads": (("human", 0),)}, "each with at least one track"),
        ({"heads": (("a/b", 1),)}, "head 'a/b' cannot be a name in a checkpoint; use letters"),
        ({"heads": (("_layers", 1),)}, "head '_layers' cannot be a name"),
        ({"heads": (("", 1),)}, "head '' cannot be a name"),
        ({"dropout_rate": 1.0}, r"dropout_rate is 1.0; it must be in \[0, 1\)"),
        ({"attention_dropout_rate": -0.1}, "attention_dropout_rate is -0.1"),
        ({"positional_dropout_rate": float("nan")}, "positional_dropout_rate is nan"),
    ],
)
def test_layers_that_cannot_fit_together_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        config(**changes)


@pytest.mark.parametrize("channels", [96, 192, 256, 512])
def test_widths_that_the_published_rounding_cannot_build_are_refused(channels):
    with pytest.raises(UsageError, match=f"channels is {channels}"):
        EnformerConfig(channels=channels)


def test_the_tracks_of_a_head():
    assert EnformerConfig().head_tracks("mouse") == 1643
    with pytest.raises(UsageError, match="no head is called 'rat'; this model has human, mouse"):
        EnformerConfig().head_tracks("rat")


@pytest.mark.parametrize(
    "made", [EnformerConfig(), config(heads=(("liver", 5),), pooling_type="max", dropout_rate=0)]
)
def test_a_configuration_survives_json(made):
    assert EnformerConfig.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 1}, r"unknown entries \['width'\], missing entries \[\]"),
        ({"channels": "96"}, "channels is '96'; expected something like 1536"),
        ({"channels": 96.0}, "channels is 96.0; expected"),
        ({"channels": True}, "channels is True; expected"),
        ({"channels": None}, "channels is None; expected"),
        ({"dropout_rate": "0.4"}, "dropout_rate is '0.4'; expected something like 0.4"),
        ({"dropout_rate": False}, "dropout_rate is False; expected"),
        ({"pooling_type": 5}, "pooling_type is 5; expected something like 'attention'"),
        ({"heads": {"human": 7}}, r"heads is .*; expected something like \[\['human', 5313\]"),
        ({"heads": ["human"]}, r"heads is \['human'\]"),
        ({"heads": [["human"]]}, "heads is"),
        ({"heads": [["human", 7.5]]}, "heads is"),
        ({"heads": [[1, 7]]}, "heads is"),
        ({"channels": 100}, "model configuration: channels is 100; it must be a multiple"),
    ],
)
def test_a_malformed_configuration_is_named(changes, message):
    with pytest.raises(InputFormatError, match=message):
        EnformerConfig.from_json({**config().to_json(), **changes})


def test_a_missing_entry_is_named():
    value = config().to_json()
    del value["key_size"]
    with pytest.raises(InputFormatError, match=r"missing entries \['key_size'\]"):
        EnformerConfig.from_json(value)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EnformerConfig().channels = 384
