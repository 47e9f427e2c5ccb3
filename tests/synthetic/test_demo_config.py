"""What decides the demo."""

from pathlib import Path

from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.demo_config import DemoConfig


def test_the_demo_is_the_default_world_with_its_seed():
    assert DemoConfig(Path("demo"), seed=3).world == WorldConfig(seed=3)


def test_the_demo_has_enough_held_out_variants():
    world = DemoConfig(Path("demo")).world
    assert world.test_variants >= 400
    assert [chromosome.split for chromosome in world.layout].count("test") == 1


def test_the_quick_demo_is_much_smaller():
    full, quick = DemoConfig(Path("demo")), DemoConfig(Path("demo"), quick=True)
    lengths = [sum(c.length for c in config.world.layout) for config in (full, quick)]
    assert lengths[1] < lengths[0] / 20
    assert quick.training_steps < full.training_steps / 20
    assert quick.channels < full.channels
    assert quick.batch_size < full.batch_size
    assert {c.split for c in quick.world.layout} == {"train", "valid", "test"}


def test_steps_can_be_chosen():
    assert DemoConfig(Path("demo"), steps=7).training_steps == 7
    assert DemoConfig(Path("demo"), steps=7, quick=True).training_steps == 7
