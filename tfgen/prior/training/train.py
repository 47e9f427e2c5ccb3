"""Trains a prior from files: LD, traits and features in, one model per fold out.

The output folder holds `folds/NAME/`, a model each (see `saved_prior`), `prior.json`, which says
which blocks each of them never saw, `log.csv`, `run.json` and, with matplotlib, `training.png`.
"""

import dataclasses
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    new_directory,
    refuse_overlap,
    write_json,
)
from tfgen.io.work import WorkFolder
from tfgen.plots.prior_training import prior_training_curves
from tfgen.plots.style import save_figure
from tfgen.prior.constant_fit import LEAST_START, constant_of_blocks
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.heads.head_config import FeatureShape, TraitScale
from tfgen.prior.heads.prior_model import PriorModel, build_prior
from tfgen.prior.heads.saved_prior import prior_card, save_prior
from tfgen.prior.heads.standardise import Standardiser
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.distribution import is_chief, make_strategy
from tfgen.prior.training.em import EmFit
from tfgen.prior.training.fit import Fit, FitData, FitResult
from tfgen.prior.training.fit_state import EpochRecord
from tfgen.prior.training.folds import Fold, make_folds
from tfgen.prior.training.prior_folder import PRIOR_JSON, PriorFold, PriorIndex
from tfgen.prior.training.train_config import TrainConfig
from tfgen.prior.training.training_log import EventLog, write_log
from tfgen.prior.training.traits import Trait, parse_traits, read_traits

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
class TrainSummary:
    """What a training run came to.

    Attributes:
        output: The folder.
        folds: How every fold went.
        traits: The traits, with the counts of their alleles.
        n_parameters: Trainable parameters of one model.
        solver: `chol` or `cg`.
        warnings: What the user should know.
    """

    output: Path
    folds: tuple[FoldSummary, ...]
    traits: tuple[Trait, ...]
    n_parameters: int
    solver: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
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


def train_prior(config: TrainConfig, command: str = "prior_train") -> TrainSummary:
    """Trains the prior of every fold.

    Work is kept in `OUTPUT.partial/`; a run that was killed goes on from its last epoch and ends
    with the same weights as one that was not.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What it came to.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other.
        NumericalError: Training diverged.
        OutputError: The output exists, is being written by another run, or was begun with other
            settings.
        UsageError: Settings contradict each other or the inputs.
    """
    files = parse_traits(config.traits)
    refuse_overlap(config.output, [config.ld, config.features, *files.values()])
    if config.strategy == "mirrored":
        _divide_cpu(config.replicas)
    strategy = make_strategy(config.strategy)
    report = RunReport(command, dataclasses.asdict(config), seeds={"fit": config.fit.seed})
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        if is_chief(strategy):
            stack.enter_context(OutputLock(config.output))
            _refuse_existing(config)
        store = stack.enter_context(LdStore(config.ld))
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        traits = read_traits(store, files)
        report.inputs = {name: input_fingerprint(path) for name, path in files.items()}
        job = _prepare(config, strategy, store, features, traits, stop)
        summary = _train(job, stack, report)
    return summary


def _prepare(
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    store: LdStore,
    features: FeatureStore | None,
    traits: tuple[Trait, ...],
    stop: StopRequest,
) -> _Job:
    source = DiskBlocks(
        store,
        features,
        traits,
        with_ld=config.fit.objective == "ldsr",
        cache_bytes=int(config.cache_gb * 2**30),
    )
    n_variants = config.n_variants or len(store.variants)
    scales = tuple(TraitScale(trait.name, trait.n_eff, n_variants) for trait in traits)
    shape = FeatureShape()
    if features is not None:
        shape = FeatureShape(features.annotation_names, features.track_names, features.length)
    attributes = {
        **config.deciding(),
        "ld": store.digest,
        "features": features.digest if features is not None else "",
        "traits": {trait.name: _trait_digest(trait) for trait in traits},
        "tensorflow": tf.__version__,
    }
    text = json.dumps(attributes, sort_keys=True)
    return _Job(
        config=config,
        strategy=strategy,
        source=source,
        traits=traits,
        scales=scales,
        shape=shape,
        work=WorkFolder(config.output, attributes),
        identity=hashlib.sha256(text.encode()).hexdigest(),
        build=str(store.attributes.get("build", "")),
        stop=stop,
    )


def _train(job: _Job, stack: ExitStack, report: RunReport) -> TrainSummary:
    """Fits every fold, then publishes."""
    config = job.config
    folds = make_folds(job.source.sizes, config.folds, config.test_chrom, config.held_out_share)
    if is_chief(job.strategy):
        job.work.take_up(config.overwrite)
    done = {fold.name for fold in folds if (job.work.folder / fold.name / "model.json").exists()}
    total = len(folds) * config.fit.epochs
    progress = stack.enter_context(Progress(total, "training", "epochs", mode=config.progress))
    records: list[tuple[str, tuple[EpochRecord, ...]]] = []
    summaries, solver, n_parameters = [], "chol", 0
    for fold in folds:
        result, model = _fit_fold(job, fold, progress, fold.name in done)
        records.append((fold.name, result.records))
        summaries.append(_summary(fold, result, _clipped(job, fold, model)))
        solver = result.solver
        n_parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    warnings = _warnings(job, summaries)
    summary = TrainSummary(
        config.output, tuple(summaries), job.traits, n_parameters, solver, warnings
    )
    if is_chief(job.strategy):
        report.results = _results(summary)
        _publish(job, folds, records, report)
    return summary


def _fit_fold(
    job: _Job, fold: Fold, progress: Progress, is_done: bool
) -> tuple[FitResult, PriorModel]:
    """Fits one fold, or reads how it went, and saves its model."""
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
    if is_chief(job.strategy) and not is_done:
        card = prior_card(
            model,
            np.exp(result.log_sigma).tolist(),
            job.build,
            {"fold": fold.name, "best_epoch": result.best_epoch, **config.deciding()},
        )
        save_prior(model, folder / fold.name, card)
    return result, model


def _model(job: _Job, fold: Fold) -> tuple[PriorModel, npt.NDArray[np.float64]]:
    """A model that starts as the constant prior of its training blocks, and its sigma [T].

    Features are standardised on the same blocks. Sigma starts at its own estimate if it is trained.
    """
    blocks = (job.source.read(i) for i in fold.training)
    standardiser = Standardiser.fit(
        ((block.annotations, block.tracks) for block in blocks), job.shape
    )
    options = job.config.fit
    model = build_prior(job.config.head, job.shape, job.scales, standardiser, options.seed)
    known = options.start_sigma if options.sigma == "fixed" else None
    constants = [
        constant_of_blocks(job.source, fold.training, i, known) for i in range(len(job.traits))
    ]
    frequency = np.concatenate([job.source.read(i).frequency for i in fold.training])
    means = [options.start_mean_f or max(constant.f, LEAST_START) for constant in constants]
    model.set_start(means, frequency)
    return model, np.array([constant.sigma for constant in constants])


@contextmanager
def _events(job: _Job, fold: Fold) -> Iterator[Callable[[EpochRecord], None]]:
    if not (job.config.tensorboard and is_chief(job.strategy)):
        yield lambda _: None
        return
    yield EventLog(job.work.folder / "tensorboard" / fold.name).add


def _publish(
    job: _Job,
    folds: tuple[Fold, ...],
    records: list[tuple[str, tuple[EpochRecord, ...]]],
    report: RunReport,
) -> None:
    config = job.config
    names = [trait.name for trait in job.traits]
    index = PriorIndex(
        traits=job.scales,
        build=job.build,
        ld_digest=str(json.loads(job.work.text)["ld"]),
        features_digest=str(json.loads(job.work.text)["features"]),
        folds=tuple(
            PriorFold(fold.name, tuple(job.source.sizes[i].id for i in fold.test)) for fold in folds
        ),
    )
    with new_directory(config.output, config.overwrite, kind=PRIOR_JSON) as folder:
        for fold in folds:
            shutil.copytree(job.work.folder / fold.name, folder / "folds" / fold.name)
        if (job.work.folder / "tensorboard").exists():
            shutil.copytree(job.work.folder / "tensorboard", folder / "tensorboard")
        write_log(folder / "log.csv", names, records)
        _draw(folder / "training.png", records)
        write_json(folder / PRIOR_JSON, index.to_json())
        report.write(folder / "run.json")
    job.work.remove()


def _draw(path: Path, records: list[tuple[str, tuple[EpochRecord, ...]]]) -> None:
    """Draws the curves where matplotlib is installed."""
    curves = {
        name: (
            [record.epoch for record in fold],
            [record.training for record in fold],
            [record.held_out for record in fold],
        )
        for name, fold in records
        if fold
    }
    if curves and importlib.util.find_spec("matplotlib"):
        save_figure(prior_training_curves(curves), path)


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


def _clipped(job: _Job, fold: Fold, model: PriorModel) -> float:
    """Share of the training variants whose f does not answer to the network."""
    if job.config.head.arch == "constant":
        return 0.0
    clipped = total = 0
    width = job.config.fit.micro_batch
    for index in fold.training:
        data = job.source.read(index)
        for start in range(0, data.n, width):
            clipped += int(model.count_clipped(data.inputs(start, start + width)).sum())
        total += data.n * len(job.traits)
    return clipped / total


def _warnings(job: _Job, folds: list[FoldSummary]) -> tuple[str, ...]:
    lines = []
    if job.source.n_without_features and job.config.features:
        lines.append(
            f"{job.source.n_without_features} variants of the LD blocks have no features; they "
            "count as missing"
        )
    for fold in folds:
        if fold.faults:
            lines.append(
                f"fold {fold.name}: {fold.faults} solves needed jitter or did not converge"
            )
        if fold.clipped > MOST_CLIPPED:
            lines.append(
                f"fold {fold.name}: log f of {fold.clipped:.1%} of the variants lies at its limit, "
                "where nothing is learned; raise --clip or lower --learning_rate"
            )
        if fold.epochs and not fold.best_epoch:
            lines.append(
                f"fold {fold.name}: training never improved the held-out likelihood; the prior is "
                "the constant it started from"
            )
        elif fold.epochs and not fold.converged:
            lines.append(
                f"fold {fold.name}: the training objective was still falling after "
                f"{fold.epochs} epochs, so it had not converged; raise --epochs"
            )
    return tuple(lines)


def _results(summary: TrainSummary) -> dict[str, object]:
    return {
        "folds": [dataclasses.asdict(fold) for fold in summary.folds],
        "traits": {
            trait.name: {"n_eff": trait.n_eff, "counts": dict(trait.counts)}
            for trait in summary.traits
        },
        "n_parameters": summary.n_parameters,
        "solver": summary.solver,
        "warnings": list(summary.warnings),
    }


def _refuse_existing(config: TrainConfig) -> None:
    """Stops before hours of training at an output that must stay."""
    if config.output.exists() and not config.overwrite:
        with new_directory(config.output, kind=PRIOR_JSON):
            pass  # raises


def _trait_digest(trait: Trait) -> str:
    digest = hashlib.sha256(f"{trait.name} {trait.n_eff!r}".encode())
    for block_id, z in trait.z.items():
        digest.update(block_id.encode())
        digest.update(np.ascontiguousarray(z).tobytes())
    return digest.hexdigest()


def _divide_cpu(replicas: int) -> None:
    """Makes logical CPUs, which must be done before TensorFlow starts its devices."""
    if tf.config.list_physical_devices("GPU"):
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    except RuntimeError as error:
        raise UsageError(
            f"--strategy=mirrored cannot divide the CPU any more ({error}); start a new process"
        ) from error
