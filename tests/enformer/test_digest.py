"""The digest of a model follows what it computes and nothing else."""

import dataclasses

import pytest

from enformer.small import TINY, randomise
from tfgen.enformer.checkpoint import CheckpointFile, write_checkpoint
from tfgen.enformer.digest import model_digest
from tfgen.enformer.model import Enformer
from tfgen.enformer.saved_model import export_saved_model, load_saved_model


@pytest.fixture
def model():
    return randomise(Enformer(TINY), seed=4)


@pytest.mark.parametrize("layout", ["sonnet", "hub"])
def test_it_survives_a_checkpoint_of_either_layout(model, tmp_path, layout):
    prefix = write_checkpoint(model, tmp_path / "ck", layout)
    other = Enformer(TINY)
    assert model_digest(other) != model_digest(model)
    CheckpointFile(prefix).restore(other)
    assert model_digest(other) == model_digest(model)


def test_two_exports_are_one_model(model, tmp_path):
    # TensorFlow puts random numbers into every export: their files differ.
    cards = [export_saved_model(model, tmp_path / name) for name in ("first", "second")]
    assert cards[0].sha256 != cards[1].sha256
    for name in ("first", "second"):
        assert model_digest(load_saved_model(tmp_path / name)[0]) == model_digest(model)


def test_what_matters_in_training_alone_does_not_count(model):
    before = model_digest(model)
    other = Enformer(dataclasses.replace(TINY, dropout_rate=0.1, attention_dropout_rate=0.2))
    for mine, theirs in zip(other.variables, model.variables, strict=True):
        mine.assign(theirs)
    other.final.norm.moving_mean._counter.assign(7)
    assert model_digest(other) == before


@pytest.mark.parametrize(
    "change", [{"position_basis": "reference"}, {"basis_length": 17}, {"target_length": 2}]
)
def test_the_architecture_counts(model, change):
    other = Enformer(dataclasses.replace(TINY, **change))
    for mine, theirs in zip(other.variables, model.variables, strict=True):
        mine.assign(theirs)
    assert model_digest(other) != model_digest(model)


def test_every_weight_counts(model):
    seen = {model_digest(model)}
    for variable in (
        model.stem.convolution.w,
        model.final.norm.moving_variance.average,
        model.heads["human"].b,
    ):
        variable.assign(variable * 1.0001)
        seen.add(model_digest(model))
    assert len(seen) == 4
