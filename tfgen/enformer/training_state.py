"""Everything that a training run needs to go on where it was stopped."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfgen.enformer.model import Enformer
from tfgen.enformer.training_step import StepResult, TrainingStep
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.io import write_json

_KEPT = 2
"""Checkpoints kept: the latest, and one more in case that one is damaged."""


@dataclasses.dataclass
class Interval:
    """Sums over the updates since the last row of the log."""

    updates: float = 0.0
    loss: float = 0.0
    gradient_norm: float = 0.0

    def add(self, result: StepResult) -> None:
        """Counts one more update."""
        self.updates += 1
        self.loss += result.loss
        self.gradient_norm += result.gradient_norm


class TrainingState:
    """Model, optimizer and step of a run, on disk in `DIRECTORY/checkpoints`.

    Data order, augmentation and dropout are functions of the seed and the step, so the only other
    things to keep are the sums for the next row of the log. `settings.json` in the directory says
    what run this is.

    Args:
        directory: Folder of the run; made if it is missing.
        model: The model that is trained.
        step: Holds the optimizer.
        settings: What decides the outcome of the run, in the types of JSON.

    Attributes:
        interval: Sums since the last row of the log, restored and saved with the rest.

    Raises:
        InputMismatchError: The directory holds a run with other settings.
        InputFormatError: Its settings cannot be read.
    """

    def __init__(
        self, directory: Path, model: Enformer, step: TrainingStep, settings: dict[str, Any]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        _check_settings(directory / "settings.json", settings)
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self._sums = tf.Variable([0.0, 0.0, 0.0], trainable=False, dtype=tf.float64, name="sums")
        self.interval = Interval()
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizer=step.optimizer, step=self._step, sums=self._sums
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory / "checkpoints"), max_to_keep=_KEPT
        )

    def restore(self) -> int:
        """Restores the latest checkpoint, if there is one.

        Returns:
            Number of updates made before it was written; 0 without a checkpoint.

        Raises:
            InputFormatError: The checkpoint is damaged or belongs to another model.
        """
        latest = self._manager.latest_checkpoint
        if latest is None:
            return 0
        try:
            self._checkpoint.restore(latest).assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputFormatError(
                f"{latest}: cannot be restored: {reason}; remove it to start from an earlier one"
            ) from error
        self.interval = Interval(*map(float, self._sums.numpy()))
        return int(self._step.numpy())

    def save(self, step: int) -> None:
        """Writes a checkpoint after `step` updates."""
        self._step.assign(step)
        self._sums.assign(dataclasses.astuple(self.interval))
        self._manager.save(checkpoint_number=step)


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    """Writes the settings of a new run, or compares them with those of the run that is there."""
    if not path.exists():
        write_json(path, settings)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names = sorted(
            name for name in {*found, *settings} if found.get(name) != settings.get(name)
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise InputFormatError(f"{path}: {error}; expected the settings of a run") from None
    if names:
        name = names[0]
        raise InputMismatchError(
            f"{path}: was begun with {name}={found.get(name)!r}, not {settings.get(name)!r}; "
            "resume with the same settings or choose another directory"
        )
