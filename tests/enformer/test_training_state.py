"""What is kept of a run, and when it is refused."""

import numpy as np
import pytest

from enformer.training_toys import TABLE, contig, tiny_config, tiny_model, weights
from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.sampling import WindowSampler
from tfgen.enformer.training_state import Interval, TrainingState
from tfgen.enformer.training_step import StepResult, TrainingStep
from tfgen.errors import InputFormatError, InputMismatchError

SETTINGS = {"seed": 1, "model": {"channels": 12}}


def opened(directory, seed=1, settings=SETTINGS, **changes):
    model = tiny_model(seed, **changes)
    step = TrainingStep(model, TABLE, clip_norm=0.2)
    return model, step, TrainingState(directory, model, step, settings)


def test_a_new_run_starts_at_zero(tmp_path):
    _, _, state = opened(tmp_path / "new" / "run")
    assert state.restore() == 0
    assert state.interval == Interval()


def test_everything_comes_back(tmp_path):
    model, step, state = opened(tmp_path)
    batch = WindowSampler([contig()], tiny_config(), 2, 1, Augmentation(3)).batch(0)
    state.interval.add(step(batch, 0, "human", 1e-3))
    state.interval.add(StepResult(1.25, 3.0))
    state.save(2)
    other, other_step, restored = opened(tmp_path, seed=2)
    assert restored.restore() == 2
    assert restored.interval == state.interval
    assert restored.interval.updates == 2
    for one, two in zip(weights(model), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
    slots = (step.optimizer.m, step.optimizer.v), (other_step.optimizer.m, other_step.optimizer.v)
    for one, two in zip(*slots, strict=True):
        np.testing.assert_array_equal(
            np.concatenate([v.numpy().ravel() for v in one]),
            np.concatenate([v.numpy().ravel() for v in two]),
        )
    assert int(step.optimizer.step) == int(other_step.optimizer.step) == 1


def test_the_latest_two_checkpoints_are_kept(tmp_path):
    _, _, state = opened(tmp_path)
    for number in (1, 2, 3):
        state.save(number)
    names = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.index"))
    assert names == ["ckpt-2.index", "ckpt-3.index"]


def test_a_run_with_other_settings_is_refused(tmp_path):
    opened(tmp_path)
    with pytest.raises(InputMismatchError, match="was begun with seed=1, not 2"):
        opened(tmp_path, settings={**SETTINGS, "seed": 2})
    with pytest.raises(InputMismatchError, match="was begun with model=.*, not None"):
        opened(tmp_path, settings={"seed": 1})


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_unreadable_settings_are_refused(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(InputFormatError, match="expected the settings of a run"):
        opened(tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    _, _, state = opened(tmp_path)
    state.save(4)
    (tmp_path / "checkpoints" / "ckpt-4.index").write_bytes(b"damaged")
    with pytest.raises(InputFormatError, match="ckpt-4: cannot be restored.*remove it"):
        opened(tmp_path)[2].restore()


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    opened(tmp_path)[2].save(4)
    with pytest.raises(InputFormatError, match="cannot be restored"):
        opened(tmp_path, num_transformer_layers=2)[2].restore()
