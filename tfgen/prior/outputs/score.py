"""Scores any variants with a trained prior and writes them as PolyFun reads them.

A variant of a block that is the test of a fold gets log f from that fold; any other gets the mean
over the folds.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.errors import InputMismatchError, TooManyRejectsError, UsageError
from tfgen.genome import VariantTable, join_variants
from tfgen.io import (
    OutputLock,
    Progress,
    RejectLog,
    RunReport,
    StopRequest,
    input_fingerprint,
    refuse_overlap,
)
from tfgen.prior.features.feature_store import Features, FeatureStore
from tfgen.prior.features.panel_columns import with_frequencies
from tfgen.prior.features.variant_lists import DUPLICATE, read_variant_list
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.score_config import ScorePriorConfig
from tfgen.prior.outputs.snpvar import constrain, repeated_keys, snpvar
from tfgen.prior.outputs.trained_prior import IN_SAMPLE, MEAN, TrainedPrior
from tfgen.prior.outputs.variant_output import (
    check_name,
    require_new,
    trait_paths,
    variant_columns,
    with_part,
    write_variants,
)
from tfgen.prior.sumstats.munged import MungedStats, read_munged
from tfgen.prior.training.prior_folder import BlockPlace, block_places
from tfgen.prior.training.traits import parse_traits

NO_FEATURES, NO_FREQUENCY = "NO_FEATURES", "NO_FREQUENCY"
"""Why a variant is rejected: the feature store does not have it; its frequency is not known."""

_ROWS_AT_ONCE = 1 << 16

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoredTrait:
    """One trait of a run.

    Attributes:
        outputs: Its files.
        h2: Sum of SNPVAR.
        least: Smallest SNPVAR.
        largest: Largest SNPVAR, before it was constrained.
        n_with_statistics: Variants with Z and N.
    """

    outputs: tuple[Path, ...]
    h2: float
    least: float
    largest: float
    n_with_statistics: int


@dataclass(frozen=True)
class ScoreSummary:
    """What a run came to.

    Attributes:
        n: Variants in the output.
        n_cross_fitted: Those of them whose block was seen by no model that scored them.
        rejected: Code -> variants that are not in the output.
        traits: Its traits.
        warnings: What the user should know.
    """

    n: int
    n_cross_fitted: int
    rejected: Mapping[str, int]
    traits: Mapping[str, ScoredTrait]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Scores:
    """Log f of variants [n, T], its jackknife standard error [n, T], and the fold [n]."""

    log_f: Doubles
    se: Doubles
    fold: npt.NDArray[np.object_]


def score_prior(config: ScorePriorConfig, command: str = "prior_score") -> ScoreSummary:
    """Scores variants.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        TooManyRejectsError: The output is complete, but too many variants are not in it.
        InputFormatError: An input cannot be parsed, or has no variant.
        InputMismatchError: Inputs contradict each other.
        InterruptedRunError: SIGINT or SIGTERM; nothing was written.
        NumericalError: A prior variance is not finite.
        OutputError: An output exists, or is being written by another run.
        UsageError: Settings contradict each other or the inputs.
    """
    check_name(config.output)
    files = parse_traits(config.traits) if config.traits else {}
    inputs = [config.prior, config.variants, config.features, config.ld, *files.values()]
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        prior = TrainedPrior(config.prior, features, config.micro_batch)
        prior.trait_columns(list(files))
        paths = _paths(config, prior)
        outputs = [path for pair in paths.values() for path in pair]
        for path in outputs:
            refuse_overlap(path, inputs)
            stack.enter_context(OutputLock(path))
        require_new(outputs, config.overwrite)
        rejects = stack.enter_context(RejectLog(config.output.absolute().parent))
        store = _ld_store(config, prior, stack)
        variants = _variants(config, prior, store, features, rejects)
        with Progress(len(variants), "scoring", "variants", mode=config.progress) as progress:

            def between(n: int) -> None:
                progress.update(n)
                stop.raise_if_requested()

            fold, unseen = _folds(prior, store, variants)
            scores = _score(prior, features, variants, fold, between)
        statistics = {name: read_munged(path) for name, path in files.items()}
        info = _info(config, prior, store, features)
        traits = {
            trait: _write(config, prior, trait, variants, scores, statistics.get(trait), info, pair)
            for trait, pair in paths.items()
        }
        summary = ScoreSummary(
            n=len(variants),
            n_cross_fitted=int(np.count_nonzero(unseen)),
            rejected=rejects.counts,
            traits=traits,
            warnings=tuple(_warnings(prior, store, files, traits)),
        )
        rejects.write(config.output.with_name(config.output.name + ".rejects.tsv"))
        report.inputs = {name: input_fingerprint(path) for name, path in files.items()}
        report.results = {**dataclasses.asdict(summary), **info}
        report.write(config.output.with_name(config.output.name + ".run.json"))
    _require_few_rejects(config, summary)
    return summary


def _paths(config: ScorePriorConfig, prior: TrainedPrior) -> dict[str, list[Path]]:
    """The files of every trait that is to be written."""
    names = [trait.name for trait in prior.index.traits]
    if config.trait:
        prior.trait_columns([config.trait])
        names = [config.trait]
    parts = ("", "_constrained") if config.constrain else ("",)
    return {
        trait: [with_part(path, part) for part in parts]
        for trait, path in trait_paths(config.output, names).items()
    }


def _ld_store(config: ScorePriorConfig, prior: TrainedPrior, stack: ExitStack) -> LdStore | None:
    """The LD store, if it is given.

    Raises:
        UsageError: It is needed, since the prior does not say where its blocks lie, and not given.
        InputMismatchError: It is needed and lacks blocks of the training.
    """
    path = config.ld or (config.variants if config.variants.is_dir() else None)
    if path is None:
        if _needs_ld(prior):
            raise UsageError(
                f"{config.prior}: is cross-fitted and of an older format, so that only the LD "
                "store of the training says which block a variant is in; give --ld"
            )
        return None
    store = stack.enter_context(LdStore(path))
    missing = set(prior.index.fold_of) - {info.id for info in store.blocks}
    if missing and _needs_ld(prior):
        raise InputMismatchError(
            f"{path}: lacks {len(missing)} blocks that folds kept out, such as {min(missing)}; "
            "give the LD store of the training as --ld"
        )
    return store


def _needs_ld(prior: TrainedPrior) -> bool:
    """Whether only the LD store of the training says where the blocks lie."""
    return bool(prior.index.fold_of) and not prior.index.blocks


def _variants(
    config: ScorePriorConfig,
    prior: TrainedPrior,
    store: LdStore | None,
    features: FeatureStore | None,
    rejects: RejectLog,
) -> VariantTable:
    """The variants that can be scored, with their frequencies; the others are rejected."""
    variants = read_variant_list(config.variants, rejects)
    variants = _without(variants, repeated_keys(variants), DUPLICATE, rejects)
    if prior.needs_features and features is not None:
        found = join_variants(variants, features.variants, str(features.path)).found
        if not found.any():
            raise InputMismatchError(
                f"{features.path}: has none of the variants of {config.variants}, such as "
                f"{variants.label(0)}; make the features for this list and genome build"
            )
        variants = _without(variants, np.flatnonzero(~found), NO_FEATURES, rejects)
    if not prior.needs_frequency:
        return variants
    if np.isnan(variants.af).any() and store is not None:
        variants = with_frequencies(variants, read_variant_list(store.path))
    if np.isnan(variants.af).any() and features is not None:
        variants = with_frequencies(variants, features.variants)
    unknown = np.isnan(variants.af)
    if unknown.all():
        raise InputMismatchError(
            f"{config.variants}: the prior depends on allele frequency and none is known; give a "
            "list with A1FREQ, or --ld"
        )
    return _without(variants, np.flatnonzero(unknown), NO_FREQUENCY, rejects)


def _without(
    variants: VariantTable, rows: npt.NDArray[np.int64], code: str, rejects: RejectLog
) -> VariantTable:
    """The variants but some rows, which are rejected; their lines are not known any more: 0."""
    for row in rows.tolist():
        place = variants.chrom[row], int(variants.pos[row]), variants.id[row]
        rejects.add(0, *place, variants.ref[row], variants.alt[row], code)
    keep = np.ones(len(variants), bool)
    keep[rows] = False
    return variants.take(keep)


def _folds(
    prior: TrainedPrior, store: LdStore | None, variants: VariantTable
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """The fold whose test the block of a variant is, else `mean` [n]; and which no model saw [n].

    The block is the one in whose centre it lies; of variants in flanks alone, as at the ends of
    contigs, the nearest that reaches so far.
    """
    fold, unseen = np.full(len(variants), MEAN, object), np.zeros(len(variants), bool)
    places = prior.index.blocks
    if not places and store is not None:
        places = block_places(store.blocks)
    tested = {name: place for name, place in places.items() if prior.test_of(name) != IN_SAMPLE}
    for chrom in dict.fromkeys(place.chrom for place in tested.values()):
        blocks = {name: place for name, place in tested.items() if place.chrom == chrom}
        rows = np.flatnonzero(variants.chrom == chrom)
        block = _block_of(list(blocks.values()), variants.pos[rows] - 1)
        names = np.array([prior.fold(name) for name in blocks], object)
        held = block >= 0
        fold[rows[held]] = names[block[held]]
        unseen[rows[held]] = True
    return fold, unseen


def _block_of(blocks: Sequence[BlockPlace], pos: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The nearest block that holds each position, from 0; -1 where none does."""
    order = np.argsort([b.centre_start for b in blocks])
    starts, ends, centre_starts, centre_ends = (
        np.array([getattr(blocks[i], name) for i in order])
        for name in ("start", "end", "centre_start", "centre_end")
    )
    before = np.searchsorted(centre_starts, pos, side="right") - 1
    best = np.full(len(pos), -1, np.int64)
    distance = np.full(len(pos), np.inf)
    for candidate in (before, before + 1):
        block = np.clip(candidate, 0, len(blocks) - 1)
        away = np.maximum(0, np.maximum(centre_starts[block] - pos, pos - centre_ends[block] + 1))
        holds = (starts[block] <= pos) & (pos < ends[block])
        nearer = (block == candidate) & holds & (away < distance)
        best[nearer], distance[nearer] = order[block[nearer]], away[nearer]
    return best


def _score(
    prior: TrainedPrior,
    features: FeatureStore | None,
    variants: VariantTable,
    fold: npt.NDArray[np.object_],
    between: Callable[[int], None],
) -> _Scores:
    """Log f of all variants by all folds, of which one or the mean is kept."""
    n, n_traits = len(variants), len(prior.index.traits)
    log_f, se = np.empty((n, n_traits)), np.full((n, n_traits), np.nan)
    reader = _Reader(features if prior.needs_features else None, variants)
    frequency = variants.af.astype(np.float32)
    for start in range(0, n, _ROWS_AT_ONCE):
        part = slice(start, min(start + _ROWS_AT_ONCE, n))
        values = prior.log_f_by_fold(reader.read(part), frequency[part])
        log_f[part] = values.mean(axis=0)
        for row, name in enumerate(prior.folds):
            own = fold[part] == name
            log_f[part][own] = values[row, own]
        if len(values) > 1:
            # Each fold was trained without one group of blocks: the delete-a-group jackknife.
            share = (len(values) - 1) / len(values)
            squares = np.square(values - values.mean(axis=0)).sum(axis=0)
            se[part] = np.sqrt(share * squares)
        between(part.stop - part.start)
    return _Scores(log_f, se, fold)


class _Reader:
    """Features of a list of variants in slices; the variants are found once."""

    def __init__(self, store: FeatureStore | None, variants: VariantTable) -> None:
        self._store = store
        if store is not None:
            join = join_variants(variants, store.variants, str(store.path))
            self._rows, self._flip = join.rows, join.signs < 0

    def read(self, part: slice) -> Features:
        if self._store is None:
            return Features(np.zeros((part.stop - part.start, 0), np.float32), None)
        found = self._store.read(self._rows[part])
        signed = np.asarray(self._store.signed, bool)
        found.annotations[np.ix_(self._flip[part], signed)] *= -1
        return found


def _write(
    config: ScorePriorConfig,
    prior: TrainedPrior,
    trait: str,
    variants: VariantTable,
    scores: _Scores,
    statistics: MungedStats | None,
    info: Mapping[str, Any],
    paths: list[Path],
) -> ScoredTrait:
    """Writes the files of one trait."""
    column = prior.trait_columns([trait])[0]
    n_eff = prior.index.traits[column].n_eff
    values = snpvar(scores.log_f[:, column], n_eff)
    z, n = _statistics(variants, statistics)
    described = {**info, "trait": trait, "n_eff": n_eff}
    for path in paths:
        is_first = path == paths[0]
        columns = {
            **variant_columns(variants),
            "SNPVAR": values if is_first else constrain(values, config.max_ratio),
            "Z": z,
            "N": n,
            "LOGF": scores.log_f[:, column],
            "SE": scores.se[:, column],
            "FOLD": scores.fold,
        }
        limit = {} if is_first else {"max_ratio": config.max_ratio}
        write_variants(path, columns, {**described, **limit})
    return ScoredTrait(
        outputs=tuple(paths),
        h2=float(values.sum()),
        least=float(values.min()),
        largest=float(values.max()),
        n_with_statistics=int(np.count_nonzero(~np.isnan(z))),
    )


def _statistics(variants: VariantTable, statistics: MungedStats | None) -> tuple[Doubles, Doubles]:
    """Z of the counted allele and N of every variant, NaN where there is none."""
    z, n = np.full(len(variants), np.nan), np.full(len(variants), np.nan)
    if statistics is not None:
        join = join_variants(variants, statistics.variants, "statistics")
        rows = join.rows[join.found]
        z[join.found] = statistics.z[rows] * join.signs[join.found]
        n[join.found] = statistics.n[rows]
    return z, n


def _info(
    config: ScorePriorConfig,
    prior: TrainedPrior,
    store: LdStore | None,
    features: FeatureStore | None,
) -> dict[str, Any]:
    """What determined the numbers."""
    return {
        "tfgen": __version__,
        "build": prior.index.build,
        "models": {name: card.digest for name, card in prior.cards.items()},
        "ld_digest": store.digest if store is not None else "",
        "features_digest": features.digest if features is not None else "",
    }


def _warnings(
    prior: TrainedPrior,
    store: LdStore | None,
    files: Mapping[str, Path],
    traits: Mapping[str, ScoredTrait],
) -> list[str]:
    lines = list(prior.warnings)
    if store is not None and store.digest != prior.index.ld_digest and _needs_ld(prior):
        lines.append(f"{store.path}: is not the LD that the prior was trained on")
    lines += [
        f"{path}: none of its variants is among those scored"
        for name, path in files.items()
        if name in traits and not traits[name].n_with_statistics
    ]
    lines += [
        f"{name}: missing for {n:,} variants, but never in training; they count as its mean"
        for name, n in prior.filled().items()
    ]
    return lines


def _require_few_rejects(config: ScorePriorConfig, summary: ScoreSummary) -> None:
    rejected = sum(summary.rejected.values())
    if rejected > config.max_rejected_fraction * (rejected + summary.n):
        counts = ", ".join(f"{code} {n}" for code, n in summary.rejected.items())
        raise TooManyRejectsError(
            f"{config.variants}: {rejected} of {rejected + summary.n} variants have no row in the "
            f"output ({counts}); see {config.output.name}.rejects.tsv, or raise "
            "--max_rejected_fraction"
        )
