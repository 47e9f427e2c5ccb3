"""Summary statistics drawn from the model, z ~ N(0, R F R + sigma R), with LD of a store.

Every effect is drawn once, b ~ N(0, F), also where windows share the variant. In the coordinates of
a block, R_ww = H H' and R_w = H Q with H = U lambda^(1/2) = P' diag(lambda), so that

    y = Q b + sqrt(sigma) e,    z_w = H y,    e ~ N(0, I),

has the covariance R_w F R_w' + sigma R_ww of the kept LD. This is exact for blocks that do not
overlap. The noise of two windows is independent although their variants are correlated: windows
have the right distribution each, as the likelihood takes them, but not jointly.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError, OutputError
from tfgen.genome import VariantTable, join_variants
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    library_versions,
)
from tfgen.io.pieces import PartialRun
from tfgen.io.shards import RowRange
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.features.variant_lists import read_variant_list
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.simulation.simulate_config import SimulateConfig
from tfgen.prior.simulation.truth_table import TruthTable, write_truth
from tfgen.prior.simulation.truths import TruthInputs, fit_truth
from tfgen.prior.sumstats.munged import MungedStats, new_munged, require_writer
from tfgen.prior.sumstats.side_files import (
    REPORT,
    TRUTH,
    beside,
    refuse_foreign,
    refuse_overlaps,
)

FORMAT_VERSION: Final = "1.0"
PURPOSES: Final = ("effects", "noise")
"""Each has random numbers of its own; a new purpose goes to the end."""

_BATCH_ROWS = 1 << 17
_SEED_WORDS = 4
_ENDS = (REPORT, TRUTH)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedBlock:
    """What was drawn for one block.

    Attributes:
        b: Joint effects of its variants [n].
        z: z-scores of its centre [w].
        y: The same in the coordinates of the block, P z [k].
    """

    b: Floats
    z: Floats
    y: Floats


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation came to.

    Attributes:
        output: The statistics.
        n_variants: Variants with an effect.
        n_observed: Variants with a z-score.
        mean_f: Mean prior variance over the former.
        sd_log_f: Standard deviation of its logarithm, 0 without effects.
        mean_chisq: Mean of z^2.
        truth: The numbers of the truth.
        n_without_features: Variants that the feature store does not have.
        n_resumed: z-scores that an earlier, interrupted run had drawn.
        digest: SHA-256 over everything that determines the numbers, in hex.
    """

    output: Path
    n_variants: int
    n_observed: int
    mean_f: float
    sd_log_f: float
    mean_chisq: float
    truth: Mapping[str, Any]
    n_without_features: int
    n_resumed: int
    digest: str

    def results(self) -> dict[str, Any]:
        """The summary in the types of JSON, without what differs between equal results."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["output"], values["n_resumed"]
        return {**values, "truth": dict(self.truth)}


def generator(seed: int, purpose: str, name: str) -> np.random.Generator:
    """Random numbers for one purpose and block (or contig), whichever others there are.

    Args:
        seed: Seed of the simulation.
        purpose: One of `PURPOSES`.
        name: Name of the block or contig.
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), "<u4")[:_SEED_WORDS]
    key = (PURPOSES.index(purpose), *words.tolist())
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def simulate_block(
    block: LdBlock,
    logf: npt.NDArray[np.floating],
    sigma: float,
    rng: np.random.Generator,
    b: Floats | None = None,
) -> SimulatedBlock:
    """Draws the z-scores of one block.

    Args:
        block: The block.
        logf: Log prior variance of its variants [n]; -inf is no effect.
        sigma: Variance of the noise on the z scale.
        rng: Random numbers.
        b: Effects that were drawn before [n]; None draws them from `logf`.
    """
    if b is None:
        b = np.exp(0.5 * np.asarray(logf, np.float64)) * rng.standard_normal(block.info.n)
    y = block.q.astype(np.float64) @ b + np.sqrt(sigma) * rng.standard_normal(block.info.k)
    return SimulatedBlock(b, (block.p.astype(np.float64).T * block.eigenvalues) @ y, y)


def simulate_without_ld(
    block: LdBlock, b: Floats, sigma: float, rng: np.random.Generator
) -> SimulatedBlock:
    """Draws z = b + noise for the centre of a block, as if R were I; arguments as above."""
    z = b[block.in_centre] + np.sqrt(sigma) * rng.standard_normal(block.info.w)
    return SimulatedBlock(b, z, block.p.astype(np.float64) @ z)


def simulate_statistics(
    config: SimulateConfig, command: str = "prior_simulate"
) -> SimulationSummary:
    """Draws effects and z-scores for all variants of an LD store and writes them as tables.

    Beside the statistics lie `OUTPUT.truth.tsv.gz` (log f and effect of every variant, those that
    are not observed too) and `OUTPUT.run.json`. Blocks that are done are kept in
    `OUTPUT.partial/`; a run that was killed goes on from there to the same bytes.

    Args:
        config: The settings.
        command: Name for the run report.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        OutputError: The output exists, is being written by another run, was begun with other
            settings, or the disk is full.
        InputFormatError: An input cannot be read.
        InputMismatchError: The feature store has none of the variants.
        UsageError: The truth does not suit the features.
    """
    refuse_overlaps(config.output, _ENDS, [config.ld, config.features, config.truth_model])
    require_writer(config.output)
    with OutputLock(config.output), StopRequest() as stop, LdStore(config.ld) as store:
        _refuse_existing(config)
        report = RunReport(command, dataclasses.asdict(config), seeds={"simulation": config.seed})
        report.inputs = {"ld": {"path": str(config.ld.absolute()), "digest": store.digest}}
        drawn = _draw_effects(config, store, report)
        attributes = _attributes(config, store, drawn)
        partial = PartialRun(config.output, attributes)
        z, n_resumed = _draw_z(config, store, drawn, partial, stop)
        summary = _summary(config, drawn, z, attributes, n_resumed)
        stats = _statistics(config, store, z, summary)
        with Progress(len(stats), "writing", "variants", mode=config.progress) as progress:

            def between_blocks(n: int) -> None:
                progress.update(n)
                stop.raise_if_requested()

            with new_munged(config.output, stats, between_blocks):
                write_truth(beside(config.output, TRUTH), drawn.table(store))
                report.results = {**stats.info, "n_resumed": n_resumed}
                report.write(beside(config.output, REPORT))
                partial.remove()
    return summary


@dataclass(frozen=True)
class _Drawn:
    """All variants of a store with their effects.

    Attributes:
        variants: Each variant once, in genome order [M].
        logf: Log prior variance, -inf without an effect [M].
        b: Effects [M].
        truth: The numbers of the truth.
        n_without_features: Variants without features.
        features: Digest of the feature store, "" without one.
    """

    variants: VariantTable
    logf: Floats
    b: Floats
    truth: Mapping[str, Any]
    n_without_features: int
    features: str

    def table(self, store: LdStore) -> TruthTable:
        """What is written of it."""
        observed = join_variants(self.variants, store.variants, str(store.path)).found
        return TruthTable(self.variants, self.logf, self.b, observed)

    def rows(self, chrom: str) -> dict[tuple[int, str, str], int]:
        """Row of every variant of a contig by position and alleles."""
        table = self.variants
        return {
            (int(table.pos[row]), table.ref[row], table.alt[row]): int(row)
            for row in np.flatnonzero(table.chrom == chrom)
        }


class _FeatureBatches:
    """The features of all variants, in pieces; can be gone through again and again."""

    def __init__(self, variants: VariantTable, store: FeatureStore | None, where: Path) -> None:
        self._variants, self._store = variants, store
        names = ((), ()) if store is None else (store.annotation_names, store.track_names)
        self.shape = FeatureShape(*names, 0 if store is None else store.length)
        if store is not None:
            self._join = join_variants(variants, store.variants, str(store.path))
            if not self._join.found.any():
                raise InputMismatchError(
                    f"{store.path}: has none of the variants of {where}, whose first is "
                    f"{variants.label(0)}; build the features for that list"
                )

    @property
    def n_without(self) -> int:
        """Variants that the store does not have."""
        return 0 if self._store is None else int(np.count_nonzero(~self._join.found))

    def __iter__(self) -> Iterator[TruthInputs]:
        for start in range(0, len(self._variants), _BATCH_ROWS):
            yield self._batch(slice(start, start + _BATCH_ROWS))

    def _batch(self, part: slice) -> TruthInputs:
        frequency = self._variants.af[part]
        if self._store is None:
            return TruthInputs(np.zeros((len(frequency), 0), np.float32), frequency)
        rows, signs = self._join.rows[part], self._join.signs[part]
        found = rows >= 0
        read = self._store.read(rows[found])
        annotations = np.full((len(rows), self.shape.n_annotations), np.nan, np.float32)
        annotations[found] = read.annotations
        annotations[np.ix_(signs < 0, np.asarray(self._store.signed, bool))] *= -1
        tracks = None
        if read.tracks is not None:
            tracks = np.full((len(rows), *read.tracks.shape[1:]), np.nan, np.float32)
            tracks[found] = read.tracks
        return TruthInputs(annotations, frequency, tracks)


def _draw_effects(config: SimulateConfig, store: LdStore, report: RunReport) -> _Drawn:
    """Log f and effects of all variants of the store."""
    variants = read_variant_list(config.ld)
    if config.null:
        none = np.full(len(variants), -np.inf)
        return _Drawn(variants, none, np.zeros(len(variants)), {"kind": "null"}, 0, "")
    features = None if config.features is None else FeatureStore(config.features)
    try:
        digest = "" if features is None else features.digest
        batches = _FeatureBatches(variants, features, config.ld)
        truth = fit_truth(config.truth_spec, batches.shape, batches)
        parts = [truth.log_f(x.annotations, x.frequency, x.tracks) for x in batches]
    finally:
        if features is not None:
            features.close()
    if digest:
        report.inputs = {
            **report.inputs,
            "features": {"path": str(Path(config.features or "").absolute()), "digest": digest},
        }
    logf = np.concatenate(parts)
    b = np.empty(len(variants))
    for chrom in dict.fromkeys(info.chrom for info in store.blocks):
        rows = np.flatnonzero(variants.chrom == chrom)
        noise = generator(config.seed, "effects", chrom).standard_normal(len(rows))
        b[rows] = np.exp(0.5 * logf[rows]) * noise
    return _Drawn(variants, logf, b, truth.description, batches.n_without, digest)


def _attributes(config: SimulateConfig, store: LdStore, drawn: _Drawn) -> dict[str, object]:
    """Everything that determines the numbers."""
    versions = library_versions()
    return {
        "format_version": FORMAT_VERSION,
        "ld": store.digest,
        "features": drawn.features,
        "truth": dict(drawn.truth),
        "sigma": config.sigma,
        "r_identity": config.r_identity,
        "n": config.n,
        "seed": config.seed,
        **{name: versions[name] for name in ("tfgen", "numpy")},
    }


def _draw_z(
    config: SimulateConfig,
    store: LdStore,
    drawn: _Drawn,
    partial: PartialRun,
    stop: StopRequest,
) -> tuple[Floats, int]:
    """z-scores of the observed variants in the order of the store, and how many were kept."""
    done = set(partial.open(config.overwrite))
    z = np.empty(sum(info.w for info in store.blocks))
    chrom, rows_of, n_resumed, start = "", {}, 0, 0
    with Progress(len(z), "drawing", "z-scores", mode=config.progress) as progress:
        for info in store.blocks:
            rows = RowRange(start, start + info.w)
            start += info.w
            if rows in done:
                n_resumed += len(rows)
            else:
                if info.chrom != chrom:
                    chrom, rows_of = info.chrom, drawn.rows(info.chrom)
                block = store.read(info.id)
                table = block.variants
                keys = zip(table.pos.tolist(), table.ref, table.alt, strict=True)
                index = np.array([rows_of[key] for key in keys], np.int64)
                rng = generator(config.seed, "noise", info.id)
                if config.r_identity:
                    found = simulate_without_ld(block, drawn.b[index], config.sigma, rng)
                else:
                    logf, b = drawn.logf[index], drawn.b[index]
                    found = simulate_block(block, logf, config.sigma, rng, b)
                partial.save(rows, {"z": found.z})
            z[rows.start : rows.stop] = partial.read(rows, ("z",))["z"]
            progress.update(len(rows))
            stop.raise_if_requested()
    return z, n_resumed


def _summary(
    config: SimulateConfig,
    drawn: _Drawn,
    z: Floats,
    attributes: Mapping[str, object],
    n_resumed: int,
) -> SimulationSummary:
    text = json.dumps(dict(attributes), sort_keys=True)
    return SimulationSummary(
        output=config.output,
        n_variants=len(drawn.b),
        n_observed=len(z),
        mean_f=float(np.exp(drawn.logf).mean()),
        sd_log_f=0.0 if config.null else float(drawn.logf.std()),
        mean_chisq=float(np.mean(z**2)),
        truth=drawn.truth,
        n_without_features=drawn.n_without_features,
        n_resumed=n_resumed,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _statistics(
    config: SimulateConfig, store: LdStore, z: Floats, summary: SimulationSummary
) -> MungedStats:
    """The table: effects per allele of a trait with variance 1, so that SE is 1/sqrt(2p(1-p)N)."""
    variants = store.variants
    p = variants.af
    with np.errstate(divide="ignore"):
        se = 1 / np.sqrt(2 * p * (1 - p) * config.n)
    se[~np.isfinite(se)] = np.nan
    info = {"build": store.attributes.get("build", ""), "simulation": summary.results()}
    return MungedStats(
        variants, z, np.full(len(z), config.n), info, np.minimum(p, 1 - p), z * se, se
    )


def _refuse_existing(config: SimulateConfig) -> None:
    if config.output.exists() and not config.output.is_file():
        raise OutputError(f"{config.output}: is not a plain file; choose a file name")
    if config.output.exists() and not config.overwrite:
        raise OutputError(f"{config.output}: exists; choose another output or pass --overwrite")
    refuse_foreign(config.output, _ENDS)
