"""Annotates variants: from a list of variants and any number of sources to a feature store."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfgen.errors import OutputError, TfgenError, TooManyRejectsError, UsageError
from tfgen.genome import VariantTable
from tfgen.io import (
    OutputLock,
    Progress,
    RejectLog,
    RunReport,
    StopRequest,
    input_fingerprint,
    library_versions,
    publish,
    require_free_space,
)
from tfgen.io.pieces import PartialRun, PieceRows, cut, missing_rows
from tfgen.io.shards import RowRange
from tfgen.io.work import partial_folder
from tfgen.prior.features.feature_sources import FeatureSources, open_sources, source_specs
from tfgen.prior.features.feature_store import (
    FORMAT_VERSION,
    FeatureSchema,
    FeatureStore,
    write_feature_store,
)
from tfgen.prior.features.features_config import FeaturesConfig
from tfgen.prior.features.panel_columns import ld_store_digest, with_frequencies
from tfgen.prior.features.variant_lists import read_variant_list
from tfgen.prior.sumstats.side_files import (
    REJECTS,
    REPORT,
    beside,
    refuse_foreign,
    refuse_overlaps,
)

_PIECE_BYTES = 1 << 26
_FEWEST_ROWS, _MOST_ROWS = 64, 1 << 17
_STORE = "features.h5"
_N_EXAMPLES = 3
_ENDS = (REJECTS, REPORT)
_COMPUTING = ("tfgen", "numpy", "pandas", "pyBigWig")


@dataclass(frozen=True)
class Coverage:
    """How many variants an annotation is known for.

    Attributes:
        name: The annotation.
        n_present: Variants that have a value.
        fraction: Their share of all variants.
        n_nonzero: Variants whose value is not 0.
    """

    name: str
    n_present: int
    fraction: float
    n_nonzero: int


@dataclass(frozen=True)
class FeatureSummary:
    """What a run came to.

    Attributes:
        output: The feature store.
        n_variants: Its rows.
        coverage: One entry per annotation.
        track_names: Names of the tracks, possibly none.
        length: Positions of a track.
        counts: Rows of the list of variants that were rejected, by code.
        n_resumed: Rows that an earlier, interrupted run had done.
        warnings: What the user should know.
        digest: SHA-256 of the content of the store.
    """

    output: Path
    n_variants: int
    coverage: tuple[Coverage, ...]
    track_names: tuple[str, ...]
    length: int
    counts: dict[str, int]
    n_resumed: int
    warnings: tuple[str, ...]
    digest: str

    def results(self) -> dict[str, object]:
        """The summary as the `results` of the run report."""
        return {
            "variants": self.n_variants,
            "annotations": [dataclasses.asdict(entry) for entry in self.coverage],
            "tracks": list(self.track_names),
            "track_length": self.length,
            "rejected": dict(self.counts),
            "resumed_rows": self.n_resumed,
            "warnings": list(self.warnings),
            "content_sha256": self.digest,
        }

    def require_few_rejects(self, limit: float) -> None:
        """Raises if too many rows of the list could not be used.

        Raises:
            TooManyRejectsError: Their share is above `limit`.
        """
        n_rejected = sum(self.counts.values())
        n_rows = n_rejected + self.n_variants
        if n_rejected > limit * n_rows:
            codes = ", ".join(f"{code} {n}" for code, n in self.counts.items())
            raise TooManyRejectsError(
                f"{self.output}: {n_rejected} of {n_rows} rows of the list were rejected "
                f"({codes}), more than max_rejected_fraction {limit:g} allows; the output is "
                f"complete, the rows are in {beside(self.output, REJECTS)}"
            )


@dataclass(frozen=True)
class _Job:
    """A run once its sources are open."""

    config: FeaturesConfig
    variants: VariantTable
    sources: FeatureSources
    schema: FeatureSchema
    partial: PartialRun
    rejects: RejectLog
    report: RunReport
    stop: StopRequest

    @property
    def rows_per_piece(self) -> int:
        """Rows of a piece; the same in every run over the same columns."""
        rows = _PIECE_BYTES // max(1, 2 * self.schema.row_bytes)
        return max(_FEWEST_ROWS, min(_MOST_ROWS, rows))


def build_features(config: FeaturesConfig, command: str = "prior_features") -> FeatureSummary:
    """Annotates every variant of a list.

    The work is kept in `OUTPUT.partial/` while it goes on; a run that was killed goes on from
    there when it is started again, and its output is the same, byte for byte. Beside the output
    lie `OUTPUT.run.json` (time, host, coverage) and `OUTPUT.rejects.tsv` (rows of the list that
    cannot be used).

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        TooManyRejectsError: The output is complete, but too many rows of the list were rejected.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        OutputError: The output exists, is being written by another run, was begun with other
            settings, or the disk is full.
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other.
        UsageError: Settings contradict each other, or the output is an input.
    """
    specs = source_specs(config)
    refuse_overlaps(
        config.output, _ENDS, [config.variants, config.ld_store, *(spec.path for spec in specs)]
    )
    with (
        OutputLock(config.output),
        StopRequest() as stop,
        RejectLog(config.output.parent) as rejects,
    ):
        _refuse_existing(config)
        job = _prepare(config, rejects, stop, command)
        summary = _tidy_up(job) if _was_published(job) else _build(job)
    summary.require_few_rejects(config.max_rejected_fraction)
    return summary


def _refuse_existing(config: FeaturesConfig) -> None:
    """Stops at an output that must stay, unless a killed run may have left it untidied."""
    if config.output.exists() and not config.output.is_file():
        raise OutputError(f"{config.output}: is not a plain file; choose a file name")
    untidied = (partial_folder(config.output) / "run.json").exists()
    if config.output.exists() and not config.overwrite and not untidied:
        raise _exists(config)
    refuse_foreign(config.output, _ENDS)


def _prepare(config: FeaturesConfig, rejects: RejectLog, stop: StopRequest, command: str) -> _Job:
    """Reads the list and opens the sources."""
    report = RunReport(command, dataclasses.asdict(config))
    variants = read_variant_list(config.variants, rejects)
    if config.ld_store is not None and np.isnan(variants.af).any():
        variants = with_frequencies(variants, read_variant_list(config.ld_store, rejects=None))
    if (config.maf or config.log_af) and np.isnan(variants.af).all():
        raise UsageError(
            f"{config.variants}: has no frequencies, which --maf and --log_af need; add a column "
            "A1FREQ or give --ld_store"
        )
    stop.raise_if_requested()
    contigs = tuple(dict.fromkeys(variants.chrom))
    sources = open_sources(config, source_specs(config), contigs)
    # The names with "@" stand for files that are known only now.
    refuse_overlaps(config.output, _ENDS, [Path(path) for path in sources.fingerprints])
    sources.require_matches(variants)
    fingerprint = _fingerprint(config.variants)
    report.inputs = {"variants": fingerprint, **sources.fingerprints}
    versions = library_versions()
    schema = FeatureSchema(
        annotation_names=sources.names,
        signed=sources.signed,
        track_names=sources.track_names,
        bins=sources.bins,
        build=config.build,
        sources=(
            {"kind": "variants", "sha256": fingerprint["sha256"]},
            *sources.described,
            {"kind": "software"} | {name: versions[name] for name in _COMPUTING},
        ),
        extras=sources.extras,
    )
    attributes = {
        "format_version": FORMAT_VERSION,
        "build": config.build,
        "annotations": list(sources.names),
        "tracks": list(sources.track_names),
        **{f"source {i}": dict(source) for i, source in enumerate(schema.sources)},
    }
    digest = hashlib.sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()
    return _Job(
        config=config,
        variants=variants,
        sources=sources,
        schema=dataclasses.replace(schema, run_digest=digest),
        partial=PartialRun(config.output, attributes),
        rejects=rejects,
        report=report,
        stop=stop,
    )


def _was_published(job: _Job) -> bool:
    """Whether a killed run with the same settings had published its output already.

    Raises:
        OutputError: The output is something else and must stay.
    """
    if job.config.overwrite or not job.config.output.exists():
        return False
    with suppress(TfgenError), FeatureStore(job.config.output) as store:
        if store.run_digest == job.schema.run_digest:
            return True
    raise _exists(job.config)


def _tidy_up(job: _Job) -> FeatureSummary:
    """Does what a run that was killed after publishing had left to do."""
    note = f"{job.config.output}: was complete already"
    summary = _summary(job, job.config.output, len(job.variants), [note])
    job.partial.remove()
    return summary


def _build(job: _Job) -> FeatureSummary:
    """Computes what is missing, then writes all outputs, the store last."""
    config, rows = job.config, RowRange(0, len(job.variants))
    done = job.partial.open(config.overwrite)
    n_resumed = sum(len(piece) for piece in done)
    # Pieces still to come, and the store; the latter is compressed.
    n_bytes = job.schema.row_bytes * (3 * len(rows) - 2 * n_resumed)
    require_free_space(config.output.absolute().parent, n_bytes, config.output.name)
    pieces = _compute(job, rows, done, n_resumed)
    partial_store = job.partial.folder / _STORE
    source = PieceRows(job.partial, rows, pieces)
    with Progress(None, "writing", "blocks", mode=config.progress) as progress:

        def between_blocks() -> None:
            progress.update()
            job.stop.raise_if_requested()

        n_clipped = write_feature_store(
            partial_store, job.schema, job.variants, source, between_blocks
        )
    notes = [f"{n_clipped} values of tracks were clipped to +-65504"] if n_clipped else []
    summary = _summary(job, partial_store, n_resumed, notes)
    job.rejects.write(beside(config.output, REJECTS))
    job.report.results = summary.results()
    job.report.write(beside(config.output, REPORT))
    publish(partial_store, config.output)
    job.partial.remove()
    return summary


def _compute(job: _Job, rows: RowRange, done: Sequence[RowRange], n_resumed: int) -> list[RowRange]:
    """Computes the rows that are not done yet; returns the rows of all pieces, in order."""
    pieces = list(done)
    with Progress(
        len(rows), "annotating", "variants", mode=job.config.progress, initial=n_resumed
    ) as progress:
        for piece in cut(missing_rows(rows, done), job.rows_per_piece):
            part = job.variants.take(slice(piece.start, piece.stop))
            job.partial.save(piece, job.sources.piece(part))
            pieces.append(piece)
            progress.update(len(piece))
            job.stop.raise_if_requested()
    return sorted(pieces)


def _summary(job: _Job, store_path: Path, n_resumed: int, notes: Sequence[str]) -> FeatureSummary:
    """Counts of a store, with the warnings that follow from them."""
    n_variants = len(job.variants)
    with FeatureStore(store_path) as store:
        digest = store.digest
        counts = zip(store.n_present.tolist(), store.n_nonzero.tolist(), strict=True)
        coverage = tuple(
            Coverage(name, n_present, n_present / n_variants, n_nonzero)
            for name, (n_present, n_nonzero) in zip(store.annotation_names, counts, strict=True)
        )
    return FeatureSummary(
        output=job.config.output,
        n_variants=n_variants,
        coverage=coverage,
        track_names=job.schema.track_names,
        length=len(job.schema.bins),
        counts=dict(job.rejects.counts),
        n_resumed=n_resumed,
        warnings=(
            *job.sources.warnings,
            *_coverage_warnings(coverage, job.config.min_coverage, n_variants),
            *notes,
        ),
        digest=digest,
    )


def _coverage_warnings(coverage: Sequence[Coverage], limit: float, n_variants: int) -> list[str]:
    """Says which annotations few variants have."""
    rare = [entry for entry in coverage if entry.fraction < limit]
    if not rare:
        return []
    examples = ", ".join(f"{entry.name} {entry.n_present}" for entry in rare[:_N_EXAMPLES])
    more = ", ..." if len(rare) > _N_EXAMPLES else ""
    return [
        f"{len(rare)} of {len(coverage)} annotations are known for less than {limit:.0%} of "
        f"{n_variants} variants ({examples}{more}): check build, contigs and alleles"
    ]


def _fingerprint(path: Path) -> dict[str, object]:
    """Identity of the list of variants; an LD store is known by its own digest."""
    if not path.is_dir():
        return input_fingerprint(path)
    return {"path": str(path.absolute()), "sha256": ld_store_digest(path)}


def _exists(config: FeaturesConfig) -> OutputError:
    return OutputError(f"{config.output}: exists; choose another output or pass --overwrite")
