"""Fits one fold of a training run and keeps what came of it."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.io import Progress, StopRequest, write_json
from tfgen.io.work import WorkFolder
from tfgen.prior.constant_fit import LEAST_START, ConstantPrior, Spectrum, fit_constant
from tfgen.prior.heads.head_config import FeatureShape, TraitScale
from tfgen.prior.heads.prior_model import PriorModel, build_prior
from tfgen.prior.heads.saved_prior import prior_card, save_prior
from tfgen.prior.heads.standardise import Standardiser
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.distribution import is_chief
from tfgen.prior.training.em import EmFit
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData, FitResult
from tfgen.prior.training.fit_state import EpochRecord
from tfgen.prior.training.folds import Fold
from tfgen.prior.training.train_config import TrainConfig
from tfgen.prior.training.training_log import EventLog
from tfgen.prior.training.traits import Trait

MOST_CLIPPED = 0.001
"""Share of clipped variants above which a run warns."""


@dataclass(frozen=True)
class FoldSummary:
    """How one fold went.

    Attributes:
        name: Its name.
        n_training: Blocks learned from.
        n_held_out: Blocks that decided when to stop.
        n_test: Blocks that were not seen.
        n_dropped: Blocks left out because they overlap others.
        epochs: Epochs that were run.
        best_epoch: The one that was kept.
        held_out_nll: Per z-score, at that epoch; NaN without held-out blocks.
        sigma: Noise of every trait.
        faults: Matrices that needed jitter or solves that did not converge.
        converged: Whether more epochs would hardly lower the objective, or patience ended it.
        clipped: Share of the training variants whose f lies at the limit of the head.
    """

    name: str
    n_training: int
    n_held_out: int
    n_test: int
    n_dropped: int
    epochs: int
    best_epoch: int
    held_out_nll: float
    sigma: tuple[float, ...]
    faults: int
    converged: bool
    clipped: float


@dataclass(frozen=True)
class FoldOutcome:
    """What one fold came to, as it is kept on disk.

    Attributes:
        summary: How it went.
        records: One per epoch.
        solver: `chol` or `cg`.
        n_parameters: Trainable parameters of its model.
    """

    summary: FoldSummary
    records: tuple[EpochRecord, ...]
    solver: str
    n_parameters: int

    @classmethod
    def read(cls, path: Path) -> "FoldOutcome | None":
        """That of a fold that is done, or None."""
        if not path.exists():
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            FoldSummary(**_restored(value["summary"])),
            tuple(EpochRecord(**_restored(record)) for record in value["records"]),
            value["solver"],
            value["n_parameters"],
        )


def _restored(value: Mapping[str, Any]) -> dict[str, Any]:
    """NaN, which JSON does not have, and tuples."""
    restored = {name: float("nan") if x is None else x for name, x in value.items()}
    return {**restored, "sigma": tuple(value["sigma"])}


@dataclass(frozen=True)
class TrainJob:
    """A run once its inputs are open."""

    config: TrainConfig
    strategy: tf.distribute.Strategy
    source: DiskBlocks
    traits: tuple[Trait, ...]
    scales: tuple[TraitScale, ...]
    shape: FeatureShape
    work: WorkFolder
    identity: str
    build: str
    stop: StopRequest
    spectra: dict[tuple[int, int], Spectrum] = field(default_factory=dict)

    def constant(self, fold: Fold, trait: int, sigma: float | None) -> ConstantPrior:
        """The constant prior of the training blocks; a block is decomposed once for all folds."""
        for index in fold.training:
            if (index, trait) not in self.spectra:
                rows = self.source.read(index).traits[trait]
                self.spectra[index, trait] = Spectrum.of(rows.q, rows.y)
        return fit_constant([self.spectra[index, trait] for index in fold.training], sigma)


def outcome_path(job: TrainJob, fold: Fold) -> Path:
    """Where the outcome of a fold is kept until the run is published."""
    return job.work.folder / f"{fold.name}.json"


def fit_fold(job: TrainJob, fold: Fold, progress: Progress) -> FoldOutcome:
    """Fits one fold and saves its model and outcome.

    Raises:
        NumericalError: Training diverged.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
    """
    config, folder = job.config, job.work.folder
    with job.strategy.scope():
        model, start = _model(job, fold)
        log_sigma = tf.Variable(np.log(start).astype(np.float32), trainable=True)
        data = FitData(
            job.source,
            fold.training,
            fold.held_out,
            tuple(scale.n_eff / scale.n_variants for scale in job.scales),
        )
        kind = EmFit if config.fit.objective == "em" else Fit
        fit = kind(model, log_sigma, data, config.fit, f"{job.identity} {fold.name}")
        with _events(job, fold) as log:

            def on_epoch(record: EpochRecord) -> None:
                log(record)
                progress.update()
                job.stop.raise_if_requested()

            result = fit.run(
                folder / f"{fold.name}.state.npz", on_epoch, job.stop.raise_if_requested
            )
    progress.update(config.fit.epochs - len(result.records))
    outcome = FoldOutcome(
        _summary(fold, result, _clipped(job, fold, model)),
        result.records,
        result.solver,
        sum(int(np.prod(v.shape)) for v in model.trainable_variables),
    )
    if is_chief(job.strategy):
        card = prior_card(
            model,
            np.exp(result.log_sigma).tolist(),
            job.build,
            {"fold": fold.name, "best_epoch": result.best_epoch, **config.deciding()},
        )
        save_prior(model, folder / fold.name, card, overwrite=True)
        write_json(outcome_path(job, fold), dataclasses.asdict(outcome))
    return outcome


def _model(job: TrainJob, fold: Fold) -> tuple[PriorModel, npt.NDArray[np.float64]]:
    """A model that starts as the constant prior of its training blocks, and its sigma [T].

    Features are standardised on the same blocks. Sigma starts at its own estimate if it is trained.
    """
    frequency: list[npt.NDArray[np.float32]] = []

    def batches() -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]]:
        for index in fold.training:
            inputs = job.source.read_inputs(index)
            frequency.append(inputs["frequency"])
            yield inputs["annotations"], inputs.get("tracks")

    options = job.config.fit
    standardiser = Standardiser.fit(batches(), job.shape)
    model = build_prior(job.config.head, job.shape, job.scales, standardiser, options.seed)
    known = options.start_sigma if options.sigma == "fixed" else None
    constants = [job.constant(fold, i, known) for i in range(len(job.traits))]
    means = [options.start_mean_f or max(constant.f, LEAST_START) for constant in constants]
    model.set_start(means, np.concatenate(frequency))
    return model, np.array([constant.sigma for constant in constants])


@contextmanager
def _events(job: TrainJob, fold: Fold) -> Iterator[Callable[[EpochRecord], None]]:
    if not (job.config.tensorboard and is_chief(job.strategy)):
        yield lambda _: None
        return
    yield EventLog(job.work.folder / "tensorboard" / fold.name).add


def _summary(fold: Fold, result: FitResult, clipped: float) -> FoldSummary:
    return FoldSummary(
        name=fold.name,
        n_training=len(fold.training),
        n_held_out=len(fold.held_out),
        n_test=len(fold.test),
        n_dropped=len(fold.dropped),
        epochs=len(result.records),
        best_epoch=result.best_epoch,
        held_out_nll=result.best_held_out,
        sigma=tuple(float(np.exp(x)) for x in result.log_sigma),
        faults=sum(record.faults for record in result.records),
        converged=result.converged or result.stopped_early,
        clipped=clipped,
    )


def _clipped(job: TrainJob, fold: Fold, model: PriorModel) -> float:
    """Share of the training variants whose f does not answer to the network."""
    if job.config.head.arch == "constant":
        return 0.0
    clipped = total = 0
    width = job.config.fit.micro_batch
    for index in fold.training:
        inputs = job.source.read_inputs(index)
        n = len(inputs["frequency"])
        for start in range(0, n, width):
            part = {name: x[start : start + width] for name, x in inputs.items()}
            clipped += int(model.count_clipped(part).sum())
        total += n * len(job.traits)
    return clipped / total
