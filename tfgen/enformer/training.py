"""Trains an Enformer: the loop, its settings, and what it leaves on disk."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.evaluation import Predictor, evaluate
from tfgen.enformer.metrics import Correlation
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Contig, WindowSampler, tiled_batches
from tfgen.enformer.schedule import Decay, LearningRate
from tfgen.enformer.training_log import TrainingLog
from tfgen.enformer.training_state import Interval, TrainingState
from tfgen.enformer.training_step import TrainingStep
from tfgen.errors import NumericalError, UsageError
from tfgen.io import Progress, StopRequest


def _option(default: Any, text: str, lower: float) -> Any:
    """A field with the help and the lower bound that its flag has too."""
    return field(default=default, metadata={"help": text, "lower": lower})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained; the defaults are the published recipe where it can be copied.

    The published model was trained for 150,000 steps of 64 windows (Avsec et al. 2021). Its
    notebook names a clipping norm of 0.2 and does not apply it; here it is applied.

    Raises:
        UsageError: A value is out of range.
    """

    steps: int = _option(150_000, "Updates to make.", 1)
    batch_size: int = _option(64, "Windows per update, over all devices.", 1)
    learning_rate: float = _option(5e-4, "Learning rate after the warm-up.", 0)
    warmup_steps: int = _option(5000, "Updates over which the learning rate rises to it.", 0)
    decay: Decay = field(
        default="constant",
        metadata={"help": "Learning rate after the warm-up: constant, or cosine to zero."},
    )
    clip_norm: float = _option(0.2, "Largest global norm of the gradient; 0 does not clip.", 0)
    max_shift: int = _option(3, "Largest random shift of a window in bases, either way.", 0)
    reverse_complement: bool = field(
        default=True, metadata={"help": "Read half of the windows from the other strand."}
    )
    seed: int = _option(1, "Seed of window order, shifts, strands and dropout.", 0)
    log_every: int = _option(100, "Updates per row of the log.", 1)
    validate_every: int = _option(1000, "Updates between validations; 0 validates never.", 0)
    checkpoint_every: int = _option(
        1000, "Updates between checkpoints; 0 writes them only when stopped and at the end.", 0
    )

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value, lower = getattr(self, item.name), item.metadata.get("lower")
            if lower is not None and not (value >= lower and math.isfinite(value)):
                raise UsageError(f"{item.name} is {value}; expected {lower} or more")
        if self.validate_every % self.log_every:
            raise UsageError(
                f"validate_every is {self.validate_every}; expected a multiple of "
                f"log_every={self.log_every}"
            )
        LearningRate(self.learning_rate, self.warmup_steps, self.decay, self.steps)

    @property
    def schedule(self) -> LearningRate:
        """The learning rate by step."""
        return LearningRate(self.learning_rate, self.warmup_steps, self.decay, self.steps)

    @property
    def augmentation(self) -> Augmentation:
        """How windows are varied."""
        return Augmentation(self.max_shift, self.reverse_complement)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What a model is trained on.

    Attributes:
        train: Contigs to draw windows from.
        valid: Contigs for validation, may be none.
        tracks: Name of every track of the coverage.
        one_hot_table: One-hot row of every base code, float32 `[codes, 4]`
            (`tfgen.genome.one_hot_table`).
    """

    train: Sequence[Contig]
    valid: Sequence[Contig]
    tracks: Sequence[str]
    one_hot_table: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a training run ended.

    Attributes:
        steps: Updates made in all.
        resumed_steps: Those that an earlier, stopped run had made.
        validation: Correlation on the validation contigs after the last update; None without.
        seconds: Time of this run.
    """

    steps: int
    resumed_steps: int
    validation: Correlation | None
    seconds: float


def train(
    model: Enformer,
    data: TrainingData,
    head: str,
    config: TrainingConfig,
    directory: Path,
    *,
    strategy: tf.distribute.Strategy | None = None,
    progress: str = "auto",
) -> TrainingResult:
    """Trains a model in place.

    The directory gets `log.csv` (see `TrainingLog`), `checkpoints/` and `settings.json`. A run
    that was stopped or killed goes on from its last checkpoint when it is started again with the
    same settings, and ends with the same weights as a run that was not.

    Args:
        model: The model; made inside the scope of `strategy`, if there is one.
        data: Genome and coverage.
        head: The head to train.
        config: The recipe.
        directory: Folder of the run.
        strategy: See `TrainingStep`.
        progress: Mode of `tfgen.io.Progress`.

    Raises:
        UsageError: Data, head and model do not fit together.
        InputMismatchError: The directory holds a run with other settings.
        InputFormatError: What the directory holds cannot be read.
        NumericalError: The loss is no longer finite.
        InterruptedRunError: SIGINT or SIGTERM; the state is on disk.
    """
    run = _Run(model, data, head, config, directory, strategy)
    started = time.monotonic()
    first = run.state.restore()
    log = TrainingLog(directory / "log.csv", data.tracks, first)
    with (
        StopRequest() as stop,
        Progress(config.steps, "training", "steps", mode=progress, initial=first) as shown,
    ):
        for step in range(first, config.steps):
            run.update(step)
            shown.update()
            if run.is_due(config.log_every, step + 1):
                shown.note(run.log(log, step + 1))
            if run.is_due(config.checkpoint_every, step + 1) or stop.requested:
                run.state.save(step + 1)
                stop.raise_if_requested()
    if first < config.steps:
        run.state.save(config.steps)
    return TrainingResult(config.steps, first, run.validate(), time.monotonic() - started)


class _Run:
    """The parts of a run and what is done with them every so many updates."""

    def __init__(
        self,
        model: Enformer,
        data: TrainingData,
        head: str,
        config: TrainingConfig,
        directory: Path,
        strategy: tf.distribute.Strategy | None,
    ) -> None:
        architecture = model.config
        self._sampler = WindowSampler(
            data.train, architecture, config.batch_size, config.seed, config.augmentation
        )
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            self._step = TrainingStep(
                model,
                data.one_hot_table,
                clip_norm=config.clip_norm or None,
                seed=config.seed,
                strategy=strategy,
            )
        settings = {
            "training": dataclasses.asdict(config),
            "model": architecture.to_json(),
            "head": head,
            "tracks": list(data.tracks),
            "epoch_windows": self._sampler.epoch_windows,
        }
        self.state = TrainingState(directory, model, self._step, settings)
        self._predictor = Predictor(model, head, data.one_hot_table)
        self._architecture, self._head = architecture, head
        self._data, self._config = data, config

    def update(self, step: int) -> None:
        """Makes the update of a step."""
        rate = self._config.schedule.at(step)
        result = self._step(self._sampler.batch(step), step, self._head, rate)
        if not math.isfinite(result.loss + result.gradient_norm):
            raise NumericalError(
                f"step {step}: loss {result.loss}, gradient norm {result.gradient_norm}; lower the "
                "learning rate, or set clip_norm, and start from an earlier checkpoint"
            )
        self.state.interval.add(result)

    def log(self, log: TrainingLog, done: int) -> str:
        """Adds a row after `done` updates; returns it in words."""
        sums, self.state.interval = self.state.interval, Interval()
        loss, norm = sums.loss / sums.updates, sums.gradient_norm / sums.updates
        validation = self.validate() if self.is_due(self._config.validate_every, done) else None
        rate = self._config.schedule.at(done - 1)
        log.add(done, rate, loss, norm, None if validation is None else validation.r)
        words = f"step {done:,}: loss {loss:.4f}"
        return words if validation is None else f"{words}, validation r {validation.mean:.3f}"

    def validate(self) -> Correlation | None:
        """Correlation on the validation contigs."""
        if not self._data.valid:
            return None
        batches = tiled_batches(self._data.valid, self._architecture, self._config.batch_size)
        return evaluate(self._predictor, batches)

    @staticmethod
    def is_due(every: int, done: int) -> bool:
        """Whether `done` is a multiple of `every`; never if that is 0."""
        return every > 0 and done % every == 0
