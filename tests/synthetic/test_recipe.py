"""The model of the demo and its training."""

import numpy as np
import pytest

from tfgen.enformer.batch_statistics import BatchNorm
from tfgen.enformer.training import TrainingConfig
from tfgen.enformer.training_log import read_training_log
from tfgen.synthetic.recipe import (
    HEAD,
    contigs,
    demo_architecture,
    demo_training,
    fit,
    new_model,
    training_data,
)


@pytest.fixture(scope="module")
def data(tiny_world):
    return training_data(tiny_world)


def test_the_architecture_follows_the_world(tiny_world):
    architecture = demo_architecture(tiny_world, 96)
    assert architecture.heads == ((HEAD, 4),)
    assert (architecture.sequence_length, architecture.target_length) == (4096, 16)
    assert architecture.basis_length == architecture.num_bins


def test_the_rate_falls_to_zero_and_the_run_is_logged():
    recipe = demo_training(2000, 7, 16)
    assert (recipe.steps, recipe.seed, recipe.batch_size) == (2000, 7, 16)
    assert recipe.schedule.at(1999) < 1e-3 * recipe.learning_rate
    assert recipe.clip_norm == 0.2
    assert recipe.log_every * 40 == 2000


@pytest.mark.parametrize("steps", [1, 3, 30, 41])
def test_a_run_may_be_short(steps):
    recipe = demo_training(steps, 1, 4)
    assert recipe.warmup_steps <= steps
    assert recipe.log_every >= 1


def test_contigs_are_those_of_the_split(tiny_world, data):
    assert [len(contig.codes) for contig in contigs(tiny_world, "test")] == [127_872]
    assert [len(contig.codes) for contig in data.train] == [64_000]
    assert [len(contig.codes) for contig in data.valid] == [38_400]
    np.testing.assert_array_equal(data.train[0].coverage, tiny_world.coverage("chrA"))
    assert data.tracks == ["dnase_alpha", "atac_beta", "cage_alpha", "cage_beta"]


def test_a_new_model_follows_from_its_seed(tiny_world, data):
    architecture = demo_architecture(tiny_world, 24)
    one, two, other = (new_model(architecture, data, seed) for seed in (1, 1, 2))
    for a, b in zip(one.variables, two.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.stem.convolution.w.numpy() != other.stem.convolution.w.numpy()).any()


def test_training_ends_with_the_statistics_of_many_batches(tiny_world, data, tmp_path):
    model = new_model(demo_architecture(tiny_world, 24), data, 1)
    recipe = TrainingConfig(steps=2, batch_size=2, warmup_steps=0, log_every=1, validate_every=0)
    result = fit(model, data, recipe, tmp_path, "none")
    assert result.steps == 2
    assert len(read_training_log(tmp_path / "log.csv")["step"]) == 2
    norms = [module for module in model.submodules if isinstance(module, BatchNorm)]
    # After two updates a moving average would not have settled.
    assert all(int(norm.moving_mean._counter) == 1000 for norm in norms)
