"""Training runs: what they leave, and that a stopped one ends like one that was not."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from enformer.training_toys import TABLE, contig, tiny_model, weights
from tfgen.enformer.training import TrainingConfig, TrainingData, train
from tfgen.enformer.training_log import read_training_log
from tfgen.enformer.training_step import TrainingStep
from tfgen.errors import InputMismatchError, InterruptedRunError, NumericalError, UsageError

HERE = Path(__file__).resolve().parent
CONFIG = TrainingConfig(
    steps=12,
    batch_size=4,
    learning_rate=5e-3,
    warmup_steps=3,
    decay="cosine",
    log_every=3,
    validate_every=6,
    checkpoint_every=5,
)
DROPOUT = {
    "dropout_rate": 0.3,
    "attention_dropout_rate": 0.2,
    "positional_dropout_rate": 0.1,
}
DATA = TrainingData([contig(1), contig(2)], [contig(3)], ["a", "c", "g"], TABLE)


@pytest.fixture(autouse=True, scope="module")
def eager():
    """Runs of a few steps are over before their graph would be traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trained(directory, config=CONFIG, data=DATA, seed=1):
    model = tiny_model(seed, **DROPOUT)
    return model, train(model, data, "human", config, directory, progress="none")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    model, result = trained(directory)
    return directory, weights(model), result


def assert_ends_like(whole, directory, model):
    whole_directory, whole_weights, _ = whole
    for one, two in zip(weights(model), whole_weights, strict=True):
        np.testing.assert_array_equal(one, two)
    log = (directory / "log.csv").read_bytes()
    assert log == (whole_directory / "log.csv").read_bytes()


def test_a_run_leaves_its_log_and_says_how_it_ended(whole):
    directory, _, result = whole
    assert (result.steps, result.resumed_steps) == (12, 0)
    assert result.validation.count == 38
    log = read_training_log(directory / "log.csv")
    np.testing.assert_array_equal(log["step"], [3, 6, 9, 12])
    assert np.isfinite(log["loss"]).all()
    np.testing.assert_array_equal(np.isfinite(log["validation_r"]), [False, True, False, True])
    assert log["validation_r"][-1] == pytest.approx(result.validation.mean, abs=1e-5)
    assert log["learning_rate"][0] == pytest.approx(5e-3)


def test_a_killed_run_ends_like_one_that_was_not(whole, tmp_path, monkeypatch):
    original = TrainingStep.__call__

    def deadly(self, batch, step, head, learning_rate):
        if step == 8:
            raise MemoryError("killed")
        return original(self, batch, step, head, learning_rate)

    monkeypatch.setattr(TrainingStep, "__call__", deadly)
    with pytest.raises(MemoryError, match="killed"):
        trained(tmp_path)
    monkeypatch.undo()
    model, result = trained(tmp_path, seed=2)
    assert result.resumed_steps == 5
    assert_ends_like(whole, tmp_path, model)


def test_a_signal_stops_after_the_step_and_keeps_it(whole, tmp_path, monkeypatch):
    original = TrainingStep.__call__

    def signalled(self, batch, step, head, learning_rate):
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, step, head, learning_rate)

    monkeypatch.setattr(TrainingStep, "__call__", signalled)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        trained(tmp_path)
    monkeypatch.undo()
    model, result = trained(tmp_path, seed=2)
    assert result.resumed_steps == 7
    assert_ends_like(whole, tmp_path, model)


def test_a_finished_run_is_not_trained_again(whole):
    directory, _, result = whole
    before = (directory / "log.csv").read_bytes()
    _, again = trained(directory, seed=2)
    assert again.resumed_steps == 12
    np.testing.assert_allclose(again.validation.r, result.validation.r, rtol=1e-6)
    assert (directory / "log.csv").read_bytes() == before


def test_other_settings_do_not_resume(whole):
    directory, _, _ = whole
    config = TrainingConfig(**{**vars(CONFIG), "seed": 2})
    with pytest.raises(InputMismatchError, match="resume with the same settings"):
        trained(directory, config)


def test_progress_tells_loss_and_validation(tmp_path, capsys):
    config = TrainingConfig(steps=2, batch_size=2, warmup_steps=0, log_every=1, validate_every=2)
    train(tiny_model(), DATA, "human", config, tmp_path, progress="lines")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 1: loss ")
    assert ", validation r " in lines[1]
    assert lines[2].startswith("training: 2/2 steps")


def test_without_validation_contigs_there_is_no_validation(tmp_path):
    data = TrainingData(DATA.train, [], DATA.tracks, TABLE)
    config = TrainingConfig(steps=2, batch_size=2, warmup_steps=0, log_every=1, validate_every=1)
    assert trained(tmp_path, config, data)[1].validation is None
    assert np.isnan(read_training_log(tmp_path / "log.csv")["validation_r"]).all()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    spoilt = contig(1)
    spoilt.coverage[:] = np.inf
    data = TrainingData([spoilt], [], DATA.tracks, TABLE)
    with pytest.raises(NumericalError, match="step 0: loss .*lower the learning rate"):
        trained(tmp_path, CONFIG, data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; expected 0 or more"),
        ({"clip_norm": float("nan")}, "clip_norm is nan; expected 0 or more"),
        ({"validate_every": 150}, "validate_every is 150; expected a multiple of log_every=100"),
        ({"steps": 10, "warmup_steps": 11}, "warmup_steps is 11; expected 0 to the 10 steps"),
        ({"learning_rate": 0.0}, "learning rate is 0.0; expected a positive number"),
        ({"decay": "linear"}, "decay is 'linear'; use constant or cosine"),
    ],
)
def test_settings_without_meaning_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        TrainingConfig(**changes)


def test_the_defaults_are_the_published_recipe():
    config = TrainingConfig()
    assert (config.learning_rate, config.warmup_steps, config.decay) == (5e-4, 5000, "constant")
    assert (config.clip_norm, config.steps, config.batch_size) == (0.2, 150_000, 64)
    assert config.augmentation.max_shift == 3
    assert config.augmentation.reverse_complement
