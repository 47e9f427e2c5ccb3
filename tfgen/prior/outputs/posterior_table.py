"""Posterior effects of all observed variants, each once, from the exact posterior of its block.

A variant in the flanks of sliding windows is an effect in several of them; it is taken from the
window in whose centre it lies, where all its neighbours are.
"""

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.errors import InputMismatchError
from tfgen.genome import join_variants
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    refuse_overlap,
)
from tfgen.io.work import partial_folder
from tfgen.prior.evaluation import exact_terms
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.block_pieces import Arrays, BlockPieces, partial_run
from tfgen.prior.outputs.calibration import RATIO_RANGE, is_mismatch, mahalanobis_p
from tfgen.prior.outputs.posterior_config import PosteriorConfig
from tfgen.prior.outputs.sample_sizes import SampleSizes
from tfgen.prior.outputs.trained_prior import IN_SAMPLE, TrainedPrior
from tfgen.prior.outputs.variant_output import (
    check_name,
    require_new,
    trait_paths,
    variant_columns,
    write_variants,
)
from tfgen.prior.posterior import posterior_of
from tfgen.prior.sumstats.munged import read_munged
from tfgen.prior.training.block_data import BlockData
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import align_trait, parse_traits

Doubles = npt.NDArray[np.float64]

PUBLISHING = "publishing"
"""In the folder of the pieces while outputs get their names: those that exist are this run's."""

_COLUMNS = ("log_f", "mean", "variance")


@dataclass(frozen=True)
class PosteriorTrait:
    """One trait of a run.

    Attributes:
        output: Its table.
        n: Variants.
        n_with_statistics: Those of them with a z-score.
        mahalanobis_per_k: y'K^-1 y / k over all blocks, 1 if prior and LD are right.
        mahalanobis_p: Two-sided chi-square probability of that.
        h2: Sum of E[beta^2] of standardised genotypes; without LD between effects.
    """

    output: Path
    n: int
    n_with_statistics: int
    mahalanobis_per_k: float
    mahalanobis_p: float
    h2: float


@dataclass(frozen=True)
class PosteriorSummary:
    """What a run came to.

    Attributes:
        traits: Its traits.
        n_in_sample: Variants whose prior was fitted to their own statistics too.
        n_resumed: Blocks that a former run had done.
        warnings: What the user should know.
    """

    traits: Mapping[str, PosteriorTrait]
    n_in_sample: int
    n_resumed: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Effects:
    """What the blocks gave: moments of b on the z scale of all observed variants [n]."""

    log_f: Doubles
    mean: Doubles
    variance: Doubles
    chi2: float
    k: int

    @property
    def ratio(self) -> float:
        return self.chi2 / self.k if self.k else float("nan")

    @property
    def p(self) -> float:
        return mahalanobis_p(self.ratio, self.k)


@dataclass(frozen=True)
class _Models:
    """By which model each observed variant was scored [n], and whether it saw them [n]."""

    fold: npt.NDArray[np.object_]
    in_sample: npt.NDArray[np.bool_]


def write_posterior(config: PosteriorConfig, command: str = "prior_posterior") -> PosteriorSummary:
    """Writes the posterior effects of every trait.

    What was found in blocks is kept in `OUTPUT.partial/`; a run that was killed goes on from there
    and ends with the same bytes.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other, LD and z-scores among them.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        NumericalError: The likelihood of a block is not finite.
        OutputError: An output exists, is being written by another run, or was begun with other
            settings.
        UsageError: Settings contradict each other or the inputs.
    """
    check_name(config.output)
    files = parse_traits(config.traits)
    paths = trait_paths(config.output, list(files))
    inputs = [config.prior, config.ld, config.features, *files.values()]
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        for path in dict.fromkeys([config.output, *paths.values()]):
            refuse_overlap(path, inputs)
            stack.enter_context(OutputLock(path))
        mark = partial_folder(config.output) / PUBLISHING
        was_publishing = mark.exists()
        require_new(list(paths.values()), config.overwrite or was_publishing)
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        prior = TrainedPrior(config.prior, features, config.micro_batch)
        prior.trait_columns(list(files))
        store = stack.enter_context(LdStore(config.ld))
        run = _Run(config, prior, store, features, files)
        if was_publishing:
            mark.touch()
        effects, models = run.effects(stop)
        warnings = _check(config, prior, effects, run)
        mark.touch()
        found = {name: _write(paths[name], run, name, effects[name], models.fold) for name in files}
        n_without = run.pieces.n_without_features
        if n_without and prior.needs_features:
            warnings.append(f"{n_without} variants have no features; they count as missing")
        summary = PosteriorSummary(
            found, int(models.in_sample.sum()), run.pieces.n_resumed, tuple(warnings)
        )
        report.inputs = run.digests
        report.results = dataclasses.asdict(summary)
        report.write(config.output.with_name(config.output.name + ".run.json"))
        run.work.remove()
    return summary


class _Run:
    """The inputs of a run, and the pass over its blocks."""

    def __init__(
        self,
        config: PosteriorConfig,
        prior: TrainedPrior,
        store: LdStore,
        features: FeatureStore | None,
        files: Mapping[str, Path],
    ) -> None:
        self.config, self.prior, self.store, self.features = config, prior, store, features
        self.digests = {name: input_fingerprint(path) for name, path in files.items()}
        self.statistics = {name: read_munged(path) for name, path in files.items()}
        self.traits = {
            name: align_trait(store, name, stats, files[name])
            for name, stats in self.statistics.items()
        }
        self._sizes = [SampleSizes(stats, name) for name, stats in self.statistics.items()]
        self._columns = prior.trait_columns(list(files))
        self._source = DiskBlocks(
            store,
            features,
            list(self.traits.values()),
            cache_bytes=0,
            needs_frequency=prior.needs_frequency,
        )
        for size in self._source.sizes:
            prior.fold(size.id, config.in_sample)  # raises before anything is computed
        settings = {"in_sample": config.in_sample, "micro_batch": config.micro_batch}
        statistics = {name: str(entry["sha256"]) for name, entry in self.digests.items()}
        self.work = partial_run(config.output, prior, store, features, statistics, settings)
        self.pieces = BlockPieces(self._source, self.work, config.overwrite)

    def effects(self, stop: StopRequest) -> tuple[dict[str, _Effects], _Models]:
        """The posterior of every block, of which the centre is kept."""
        parts: dict[str, list[_Effects]] = {name: [] for name in self.traits}
        folds: list[npt.NDArray[np.object_]] = []
        in_sample: list[npt.NDArray[np.bool_]] = []
        sizes = self._source.sizes
        with Progress(len(sizes), "solving", "blocks", mode=self.config.progress) as progress:
            for index, size in enumerate(sizes):
                arrays = self.pieces.get(index, self._compute)
                for number, found in enumerate(parts.values()):
                    found.append(_unpacked(arrays, number))
                n = len(arrays["0.mean"])
                folds.append(np.full(n, self.prior.fold(size.id, self.config.in_sample), object))
                in_sample.append(np.full(n, self.prior.test_of(size.id) == IN_SAMPLE))
                progress.update()
                stop.raise_if_requested()
        models = _Models(np.concatenate(folds), np.concatenate(in_sample))
        return {name: _joined(found) for name, found in parts.items()}, models

    def _compute(self, data: BlockData) -> Arrays:
        """The posterior of the centre of a block, by `TRAIT.NAME`."""
        variants, centre = self.store.read_variants(data.id)
        log_f = self.prior.log_f(data, self.config.in_sample)[:, self._columns]
        sigma = self.prior.sigma(data.id, self.config.in_sample)[self._columns]
        arrays: Arrays = {}
        for number, trait in enumerate(self.traits.values()):
            n = self._sizes[number].of(variants)
            scale = self.prior.index.traits[self._columns[number]].n_eff
            # f is N Var(beta), and the prior says it for the sample size of the training.
            shift = np.log(np.where(np.isnan(n), trait.n_eff, n) / scale)
            found = _block(data, number, log_f[:, number] + shift, float(sigma[number]))
            for name in _COLUMNS:
                arrays[f"{number}.{name}"] = getattr(found, name)[centre]
            arrays[f"{number}.chi2"] = np.array([found.chi2, found.k], np.float64)
        return arrays


def _block(data: BlockData, number: int, log_f: Doubles, sigma: float) -> _Effects:
    """The posterior of a block; the prior itself where it has no z-score."""
    rows = data.traits[number]
    if not len(rows.y):
        return _Effects(log_f, np.zeros(len(log_f)), np.exp(log_f), 0.0, 0)
    terms = exact_terms(data.id, rows, log_f, float(np.log(sigma)))
    moments = posterior_of(log_f, terms)
    return _Effects(
        log_f,
        moments.mean.numpy(),
        moments.variance.numpy(),
        float(terms.mahalanobis),
        len(rows.y),
    )


def _unpacked(arrays: Arrays, number: int) -> _Effects:
    chi2, k = arrays[f"{number}.chi2"].tolist()
    log_f, mean, variance = (arrays[f"{number}.{name}"] for name in _COLUMNS)
    return _Effects(log_f, mean, variance, chi2, int(k))


def _joined(blocks: list[_Effects]) -> _Effects:
    return _Effects(
        log_f=np.concatenate([block.log_f for block in blocks]),
        mean=np.concatenate([block.mean for block in blocks]),
        variance=np.concatenate([block.variance for block in blocks]),
        chi2=sum(block.chi2 for block in blocks),
        k=sum(block.k for block in blocks),
    )


def _check(
    config: PosteriorConfig, prior: TrainedPrior, effects: Mapping[str, _Effects], run: _Run
) -> list[str]:
    """What the user should know; stops where LD and z-scores do not belong together."""
    warnings = list(prior.warnings)
    low, high = RATIO_RANGE
    for name, found in effects.items():
        if not is_mismatch(found.ratio, found.k):
            continue
        text = (
            f"{name}: Mahalanobis/k is {found.ratio:.4g} over all blocks (p {found.p:.3g}), "
            f"expected {low} to {high}: LD, noise and z-scores do not belong together"
        )
        if not config.allow_mismatch:
            run.work.remove()
            raise InputMismatchError(
                f"{text}; build the LD again with a smaller --var_kept or a larger --shrink (see "
                "prior_check_ld.py) and train on it, or pass --allow_mismatch"
            )
        warnings.append(f"MISMATCH: {text}")
    return warnings


def _write(
    path: Path, run: _Run, name: str, effects: _Effects, fold: npt.NDArray[np.object_]
) -> PosteriorTrait:
    """Writes the table of one trait."""
    variants, statistics = run.store.variants, run.statistics[name]
    join = join_variants(variants, statistics.variants, name)
    n = np.full(len(variants), np.nan)
    n[join.found] = statistics.n[join.rows[join.found]]
    size = np.where(np.isnan(n), run.traits[name].n_eff, n)
    sd = np.sqrt(effects.variance)
    standardised = 1 / np.sqrt(size)
    spread = 2 * variants.af * (1 - variants.af)
    with np.errstate(divide="ignore"):
        per_allele = np.where(spread > 0, standardised / np.sqrt(spread), np.nan)
    second = (effects.mean**2 + effects.variance) / size
    columns = {
        **variant_columns(variants),
        "N": n,
        "A1FREQ": variants.af,
        "BETA_MEAN": effects.mean * per_allele,
        "BETA_SD": sd * per_allele,
        "BETA_MEAN_STD": effects.mean * standardised,
        "BETA_SD_STD": sd * standardised,
        "E_BETA2": second,
        "LOGF": effects.log_f,
        "FOLD": fold,
    }
    info = {
        "tfgen": __version__,
        "trait": name,
        "build": str(run.store.attributes.get("build", "")),
        "models": {fold: card.digest for fold, card in run.prior.cards.items()},
        "ld_digest": run.store.digest,
        "features_digest": run.features.digest if run.features is not None else "",
        "statistics": run.digests[name]["sha256"],
    }
    write_variants(path, columns, info)
    n_known = int(join.found.sum())
    second_sum = float(second.sum())
    return PosteriorTrait(path, len(variants), n_known, effects.ratio, effects.p, second_sum)
