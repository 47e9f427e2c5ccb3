"""Posterior effects of all observed variants, each once, from the exact posterior of its block.

A variant in the flanks of sliding windows is an effect in several of them; it is taken from the
window in whose centre it lies, where all its neighbours are.
"""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable, join_variants
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    refuse_overlap,
)
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.likelihood import block_terms
from tfgen.prior.outputs.calibration import RATIO_RANGE, is_mismatch
from tfgen.prior.outputs.held_out import sample_size_shift
from tfgen.prior.outputs.posterior_config import PosteriorConfig
from tfgen.prior.outputs.trained_prior import MEAN, TrainedPrior
from tfgen.prior.outputs.variant_output import (
    check_name,
    require_new,
    trait_paths,
    variant_columns,
    write_variants,
)
from tfgen.prior.posterior import posterior_of
from tfgen.prior.sumstats.munged import MungedStats, read_munged
from tfgen.prior.training.block_data import TraitRows
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import Trait, align_trait, parse_traits

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PosteriorTrait:
    """One trait of a run.

    Attributes:
        output: Its table.
        n: Variants.
        n_with_statistics: Those of them with a z-score.
        mahalanobis_per_k: y'K^-1 y / k over all blocks, 1 if prior and LD are right.
        h2: Sum of E[beta^2] of standardised genotypes; without LD between effects.
    """

    output: Path
    n: int
    n_with_statistics: int
    mahalanobis_per_k: float
    h2: float


@dataclass(frozen=True)
class PosteriorSummary:
    """What a run came to.

    Attributes:
        traits: Its traits.
        n_in_sample: Variants whose prior was fitted to their own statistics too.
        warnings: What the user should know.
    """

    traits: Mapping[str, PosteriorTrait]
    n_in_sample: int
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


def write_posterior(config: PosteriorConfig, command: str = "prior_posterior") -> PosteriorSummary:
    """Writes the posterior effects of every trait.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other, LD and z-scores among them.
        InterruptedRunError: SIGINT or SIGTERM; nothing was written.
        OutputError: An output exists, or is being written by another run.
        UsageError: Settings contradict each other or the inputs.
    """
    check_name(config.output)
    files = parse_traits(config.traits)
    paths = trait_paths(config.output, list(files))
    inputs = [config.prior, config.ld, config.features, *files.values()]
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        for path in paths.values():
            refuse_overlap(path, inputs)
            stack.enter_context(OutputLock(path))
        require_new(list(paths.values()), config.overwrite)
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        prior = TrainedPrior(config.prior, features, config.micro_batch)
        prior.trait_columns(list(files))
        store = stack.enter_context(LdStore(config.ld))
        statistics = {name: read_munged(path) for name, path in files.items()}
        traits = [align_trait(store, name, statistics[name], files[name]) for name in files]
        source = DiskBlocks(store, features, traits, cache_bytes=0)
        with Progress(len(source.sizes), "solving", "blocks", mode=config.progress) as progress:

            def between_blocks() -> None:
                progress.update()
                stop.raise_if_requested()

            effects, fold = _effects(config, prior, store, source, traits, between_blocks)
        warnings = _check(config, prior, effects)
        digests = {name: input_fingerprint(path) for name, path in files.items()}
        found = {}
        for trait in traits:
            info = {
                "tfgen": __version__,
                "trait": trait.name,
                "build": str(store.attributes.get("build", "")),
                "models": {name: card.digest for name, card in prior.cards.items()},
                "ld_digest": store.digest,
                "features_digest": features.digest if features is not None else "",
                "statistics": digests[trait.name]["sha256"],
            }
            found[trait.name] = _write(
                paths[trait.name],
                trait,
                statistics[trait.name],
                store.variants,
                effects[trait.name],
                fold,
                info,
            )
        if source.n_without_features and prior.needs_features:
            warnings.append(
                f"{source.n_without_features} variants have no features; they count as missing"
            )
        summary = PosteriorSummary(found, int(np.count_nonzero(fold == MEAN)), tuple(warnings))
        report.inputs = digests
        report.results = dataclasses.asdict(summary)
        report.write(config.output.with_name(config.output.name + ".run.json"))
    return summary


def _effects(
    config: PosteriorConfig,
    prior: TrainedPrior,
    store: LdStore,
    source: DiskBlocks,
    traits: list[Trait],
    between_blocks: Callable[[], None],
) -> tuple[dict[str, _Effects], npt.NDArray[np.object_]]:
    """The posterior of every block, of which the centre is kept; and the fold of each variant."""
    columns = prior.trait_columns([trait.name for trait in traits])
    shift = sample_size_shift(prior, traits)
    parts: dict[str, list[_Effects]] = {trait.name: [] for trait in traits}
    folds: list[npt.NDArray[np.object_]] = []
    for index, size in enumerate(source.sizes):
        _, centre = store.read_variants(size.id)
        fold = prior.fold(size.id, config.in_sample)
        folds.append(np.full(int(centre.sum()), fold, object))
        data = source.read(index)
        log_f = prior.log_f(data, config.in_sample)[:, columns] + shift
        sigma = prior.sigma(size.id, config.in_sample)[columns]
        for number, trait in enumerate(traits):
            own = _block(data.traits[number], log_f[:, number], float(sigma[number]))
            parts[trait.name].append(_centre(own, centre))
        between_blocks()
    return {name: _joined(found) for name, found in parts.items()}, np.concatenate(folds)


def _block(rows: TraitRows, log_f: Doubles, sigma: float) -> _Effects:
    """The posterior of a block; the prior itself where it has no z-score."""
    if not len(rows.y):
        return _Effects(log_f, np.zeros(len(log_f)), np.exp(log_f), 0.0, 0)
    terms = block_terms(log_f, np.float64(np.log(sigma)), rows.q.astype(np.float64), rows.y)
    moments = posterior_of(log_f, terms)
    return _Effects(
        log_f,
        moments.mean.numpy(),
        moments.variance.numpy(),
        float(terms.mahalanobis),
        len(rows.y),
    )


def _centre(block: _Effects, centre: npt.NDArray[np.bool_]) -> _Effects:
    return dataclasses.replace(
        block,
        log_f=block.log_f[centre],
        mean=block.mean[centre],
        variance=block.variance[centre],
    )


def _joined(blocks: list[_Effects]) -> _Effects:
    return _Effects(
        log_f=np.concatenate([block.log_f for block in blocks]),
        mean=np.concatenate([block.mean for block in blocks]),
        variance=np.concatenate([block.variance for block in blocks]),
        chi2=sum(block.chi2 for block in blocks),
        k=sum(block.k for block in blocks),
    )


def _check(
    config: PosteriorConfig, prior: TrainedPrior, effects: Mapping[str, _Effects]
) -> list[str]:
    """What the user should know; stops where LD and z-scores do not belong together."""
    warnings = list(prior.warnings)
    low, high = RATIO_RANGE
    for name, found in effects.items():
        if not is_mismatch(found.ratio):
            continue
        text = (
            f"{name}: Mahalanobis/k is {found.ratio:.4g} over all blocks, expected {low} to "
            f"{high}: LD, noise and z-scores do not belong together"
        )
        if not config.allow_mismatch:
            raise InputMismatchError(
                f"{text}; build the LD again with a smaller --var_kept or a larger --shrink (see "
                "prior_check_ld.py) and train on it, or pass --allow_mismatch"
            )
        warnings.append(f"MISMATCH: {text}")
    return warnings


def _write(
    path: Path,
    trait: Trait,
    statistics: MungedStats,
    variants: VariantTable,
    effects: _Effects,
    fold: npt.NDArray[np.object_],
    info: Mapping[str, Any],
) -> PosteriorTrait:
    """Writes the table of one trait."""
    join = join_variants(variants, statistics.variants, trait.name)
    n = np.full(len(variants), np.nan)
    n[join.found] = statistics.n[join.rows[join.found]]
    size = np.where(np.isnan(n), trait.n_eff, n)
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
    write_variants(path, columns, info)
    return PosteriorTrait(
        path, len(variants), int(join.found.sum()), effects.ratio, float(second.sum())
    )
