"""Trains a prior from files: LD, traits and features in, one model per fold out.

The output folder holds `folds/NAME/`, a model each (see `saved_prior`), `prior.json`, which says
which blocks each of them never saw, `log.csv`, `run.json` and, with matplotlib, `training.png`.
"""

import dataclasses
import hashlib
import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.heads.head_config import FeatureShape, TraitScale
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.distribution import is_chief, make_strategy
from tfgen.prior.training.fit_state import EpochRecord
from tfgen.prior.training.fold_fit import (
    MOST_CLIPPED,
    FoldOutcome,
    FoldSummary,
    TrainJob,
    fit_fold,
    outcome_path,
)
from tfgen.prior.training.folds import Fold, make_folds
from tfgen.prior.training.prior_folder import (
    PRIOR_JSON,
    PriorFold,
    PriorIndex,
    block_places,
    kept_out_blocks,
)
from tfgen.prior.training.train_config import TrainConfig
from tfgen.prior.training.training_log import write_log
from tfgen.prior.training.traits import Trait, parse_traits, read_traits


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
) -> TrainJob:
    source = DiskBlocks(
        store,
        features,
        traits,
        with_ld=config.fit.objective == "ldsr",
        cache_bytes=int(config.cache_gb * 2**30),
        needs_frequency=config.head.freq_mode != "off",
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
    return TrainJob(
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


def _train(job: TrainJob, stack: ExitStack, report: RunReport) -> TrainSummary:
    """Fits every fold, then publishes."""
    config = job.config
    folds = make_folds(job.source.sizes, config.folds, config.test_chrom, config.held_out_share)
    _require_statistics(job, folds)
    config.head.check_shape(job.shape)
    if is_chief(job.strategy):
        job.work.take_up(config.overwrite)
    # Looked at before any worker finishes a fold of this run.
    done = {fold.name: FoldOutcome.read(outcome_path(job, fold)) for fold in folds}
    total = len(folds) * config.fit.epochs
    progress = stack.enter_context(Progress(total, "training", "epochs", mode=config.progress))
    outcomes = []
    for fold in folds:
        outcome = done[fold.name]
        if outcome is None:
            outcome = fit_fold(job, fold, progress)
        else:
            progress.update(config.fit.epochs)
        outcomes.append(outcome)
    summaries = [outcome.summary for outcome in outcomes]
    records = [(outcome.summary.name, outcome.records) for outcome in outcomes]
    summary = TrainSummary(
        config.output,
        tuple(summaries),
        job.traits,
        outcomes[0].n_parameters,
        outcomes[0].solver,
        _warnings(job, summaries),
    )
    if is_chief(job.strategy):
        report.results = _results(summary)
        _publish(job, folds, records, report)
    return summary


def _require_statistics(job: TrainJob, folds: tuple[Fold, ...]) -> None:
    """Stops if a fold would have nothing to learn of a trait from."""
    for fold in folds:
        for trait in job.traits:
            blocks = (trait.z[job.source.sizes[i].id] for i in fold.training)
            if all(np.isnan(z).all() for z in blocks):
                raise UsageError(
                    f"trait {trait.name} has no z-score in the training blocks of fold {fold.name};"
                    " leave the trait out, or choose other --folds or --test_chrom"
                )


def _publish(
    job: TrainJob,
    folds: tuple[Fold, ...],
    records: list[tuple[str, tuple[EpochRecord, ...]]],
    report: RunReport,
) -> None:
    config = job.config
    names = [trait.name for trait in job.traits]
    with LdStore(config.ld) as store:
        places = block_places(store.blocks)
    index = PriorIndex(
        traits=job.scales,
        build=job.build,
        ld_digest=str(json.loads(job.work.text)["ld"]),
        features_digest=str(json.loads(job.work.text)["features"]),
        folds=tuple(
            PriorFold(fold.name, tuple(job.source.sizes[i].id for i in fold.test)) for fold in folds
        ),
        kept_out=kept_out_blocks(job.source.sizes, folds),
        blocks=places,
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
    if not curves:
        return
    try:
        figure = prior_training_curves(curves)
    except UsageError:
        return  # without matplotlib the log is enough
    save_figure(figure, path)


def _warnings(job: TrainJob, folds: list[FoldSummary]) -> tuple[str, ...]:
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
