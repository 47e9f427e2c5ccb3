"""The engines keep to the protocol that the pipeline was written against."""

import inspect

import pytest

from effects.toy_engines import SumEngine
from tfgen.effects.full_pass import FullPassEngine
from tfgen.effects.protocol import Engine
from tfgen.effects.shared_trunk import SharedTrunkEngine

METHODS = ("score", "score_in_full")
PROPERTIES = ("sequence_length", "target_length")


@pytest.mark.parametrize("engine", [SharedTrunkEngine, FullPassEngine, SumEngine])
@pytest.mark.parametrize("method", METHODS)
def test_an_engine_takes_what_the_pipeline_gives(engine, method):
    expected = list(inspect.signature(getattr(Engine, method)).parameters)
    assert list(inspect.signature(getattr(engine, method)).parameters) == expected


@pytest.mark.parametrize("engine", [SharedTrunkEngine, FullPassEngine])
@pytest.mark.parametrize("name", PROPERTIES)
def test_an_engine_says_how_long_its_windows_are(engine, name):
    assert isinstance(inspect.getattr_static(engine, name), property)
