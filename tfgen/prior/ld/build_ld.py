"""Builds an LD store: from a panel or published matrices to whitened blocks on disk."""

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from tfgen import __version__
from tfgen.errors import OutputError, TfgenError, UsageError
from tfgen.genome import VariantTable
from tfgen.genome.plink import plink_files
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    format_bytes,
    new_directory,
    refuse_overlap,
    require_free_space,
    write_table,
)
from tfgen.io.pieces import PartialRun
from tfgen.io.shards import RowRange
from tfgen.io.work import partial_folder
from tfgen.prior.ld.block_sets import BlockPlan
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import ARRAYS, INFO, BlockInfo, pack_block
from tfgen.prior.ld.ld_input import LdInput, Step
from tfgen.prior.ld.ld_store import INDEX, LdStore, chromosome_file
from tfgen.prior.ld.ld_store_writer import Packed, write_ld_store
from tfgen.prior.ld.memory import allowed_bytes
from tfgen.prior.ld.mismatch_report import MismatchSummary, observed_z, write_mismatch
from tfgen.prior.ld.panel_input import PanelInput
from tfgen.prior.ld.ukb_input import UkbInput

DROPPED_TABLE = "dropped_variants.tsv"
OUTSIDE_TABLE = "variants_without_block.tsv"
RUN_JSON = "run.json"

_MANY_LOST = 0.05  # share of the variants above which their loss is worth a warning
_EXPECTED_RANK = 0.35  # k / w that is expected of a large sample, for the estimate of the size


@dataclasses.dataclass(frozen=True)
class ChromosomeReport:
    """Size of one chromosome of a store.

    Attributes:
        chrom: Contig without "chr".
        n_blocks: Blocks.
        n: Variants, summed over blocks.
        w: Observed variants.
        k: Kept eigenvalues, summed over blocks.
        discarded_variance: Mean over observed variants.
        min_eigenvalue: The smallest of all blocks.
        file_bytes: Size of its file.
    """

    chrom: str
    n_blocks: int
    n: int
    w: int
    k: int
    discarded_variance: float
    min_eigenvalue: float
    file_bytes: int


@dataclasses.dataclass(frozen=True)
class BuildSummary:
    """What a build came to.

    Attributes:
        output: The store.
        digest: Its digest.
        chromosomes: Its sizes.
        n_resumed: Blocks that a former run had done.
        seconds: Time of the decompositions of this run.
        dropped: Reason to number of variants.
        n_without_block: Variants in no block.
        n_not_listed: Variants that are not among those of `--variants`.
        n_without_frequency: Observed variants whose frequency is not known.
        mismatch: z-scores against LD, None if there were none.
        warnings: What a user should know.
    """

    output: Path
    digest: str
    chromosomes: tuple[ChromosomeReport, ...]
    n_resumed: int
    seconds: float
    dropped: dict[str, int]
    n_without_block: int
    n_not_listed: int
    n_without_frequency: int
    mismatch: MismatchSummary | None
    warnings: tuple[str, ...]

    @property
    def total(self) -> ChromosomeReport:
        """All chromosomes together."""
        return _together("all", self.chromosomes)

    def results(self) -> dict[str, object]:
        """The same as plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _Job:
    """A build once its inputs were looked at."""

    config: BuildLdConfig
    source: LdInput
    partial: PartialRun
    attributes: dict[str, object]
    stop: StopRequest
    report: RunReport

    @property
    def plans(self) -> Sequence[BlockPlan]:
        return self.source.summary.plans


def build_ld(config: BuildLdConfig, command: str = "prior_build_ld") -> BuildSummary:
    """Builds an LD store.

    Every finished block is kept in `OUTPUT.partial/`; a run that was killed goes on from there
    when it is started again, and the HDF5 files are the same, byte for byte, as those of a run
    that was not. The store appears under its name when it is complete.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the build came to.

    Raises:
        UsageError: A block needs more memory than is allowed, or the output is an input.
        InputFormatError: An input cannot be parsed, or a variant occurs twice.
        InputMismatchError: Inputs contradict each other, or no variant is left.
        NumericalError: LD that is not positive semi-definite.
        OutputError: The output exists, is being written by another run, was begun with other
            settings, or the disk is full.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
    """
    genotypes = plink_files(config.bed, config.bim, config.fam) if config.bed else ()
    others = (config.ukb, config.block_file, config.variants, config.sumstats)
    refuse_overlap(config.output, [*genotypes, *others])
    report = RunReport(command, dataclasses.asdict(config))
    config.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with OutputLock(config.output), StopRequest() as stop:
        _refuse_existing(config)
        max_bytes = allowed_bytes(config.max_memory_gb)
        with Progress(None, "reading", "variants", mode=config.progress) as progress:

            def step(n: int) -> None:
                progress.update(n)
                stop.raise_if_requested()

            source = _open_input(config, step, max_bytes)
        _require_memory(source, max_bytes)
        attributes = _attributes(config, source)
        partial = PartialRun(config.output, attributes)
        report.inputs = dict(source.summary.digests)
        job = _Job(config, source, partial, attributes, stop, report)
        return _tidy_up(job) if _was_published(job) else _build(job)


def _open_input(config: BuildLdConfig, step: Step, max_bytes: int) -> LdInput:
    if config.source == "bed":
        return PanelInput(config, step)
    return UkbInput(config, step, max_bytes)


def _refuse_existing(config: BuildLdConfig) -> None:
    """Stops at an output that must stay, unless a killed run may have left it untidied."""
    untidied = (partial_folder(config.output) / "run.json").exists()
    if config.output.exists() and not config.overwrite and not untidied:
        raise _exists(config)


def _exists(config: BuildLdConfig) -> OutputError:
    return OutputError(f"{config.output}: exists; choose another output or pass --overwrite")


def _require_memory(source: LdInput, max_bytes: int) -> None:
    """Stops before any block is computed if one of them does not fit into the memory."""
    for plan in source.summary.plans:
        needed = source.bytes_needed(plan)
        if needed > max_bytes:
            raise UsageError(
                f"block {plan.id}: its LD of {plan.n:,} variants ({plan.w:,} observed) needs "
                f"{format_bytes(needed)} of memory, {format_bytes(max_bytes)} are allowed; use "
                "smaller blocks, fewer --variants, a machine with more memory, or --max_memory_gb"
            )


def _attributes(config: BuildLdConfig, source: LdInput) -> dict[str, object]:
    """Everything that determines the numbers of the store."""
    summary = source.summary
    names = (
        *("source", "blocks", "window", "centre", "chroms", "build", "max_missing", "min_maf"),
        *("eps", "var_kept", "shrink", "ld_fix", "q_dtype"),
    )
    settings = {name: getattr(config, name) for name in names}
    return {
        **settings,
        "chroms": list(config.chroms),
        "panel": summary.panel,
        "n_ref": summary.n_ref,
        "inputs": dict(summary.digests),
        "tfgen": __version__,
    }


def _was_published(job: _Job) -> bool:
    """Whether a killed run with the same settings had published its output already.

    Raises:
        OutputError: The output is something else and must stay.
    """
    if job.config.overwrite or not job.config.output.exists():
        return False
    with suppress(TfgenError), LdStore(job.config.output) as store:
        if dict(store.attributes) == job.attributes:
            return True
    raise _exists(job.config)


def _tidy_up(job: _Job) -> BuildSummary:
    """Does what a run that was killed after publishing had left to do."""
    job.partial.remove()
    note = f"{job.config.output}: was complete already"
    return _summary(job, job.config.output, len(job.plans), 0.0, None, [note])


def _build(job: _Job) -> BuildSummary:
    """Computes what is missing, then writes all and publishes it."""
    config = job.config
    done = job.partial.open(config.overwrite)
    _require_space(job, len(done))
    started = time.monotonic()
    _decompose_missing(job, {rows.start for rows in done})
    seconds = time.monotonic() - started
    with new_directory(config.output, config.overwrite, kind=INDEX) as folder:
        with Progress(len(job.plans), "writing", "blocks", mode=config.progress) as progress:

            def after_block() -> None:
                progress.update()
                job.stop.raise_if_requested()

            write_ld_store(folder, job.attributes, _pieces(job), after_block)
        _write_lists(job, folder)
        mismatch = _compare(job, folder)
        warnings = _warnings(job)
        summary = _summary(job, folder, len(done), seconds, mismatch, warnings)
        job.report.results = {**summary.results(), "attributes": job.attributes}
        job.report.write(folder / RUN_JSON)
    job.partial.remove()
    return summary


def _decompose_missing(job: _Job, done: set[int]) -> None:
    """Computes the blocks that are not done yet."""
    with Progress(
        len(job.plans), "decomposing", "blocks", mode=job.config.progress, initial=len(done)
    ) as progress:
        for index, plan in enumerate(job.plans):
            if index in done:
                continue
            block = job.source.block(plan)
            packed = pack_block(block, job.config.q_dtype)
            job.partial.save(RowRange(index, index + 1), packed)
            progress.update()
            job.stop.raise_if_requested()


def _pieces(job: _Job) -> Iterator[Packed]:
    """The packed blocks in genome order."""
    for index in range(len(job.plans)):
        yield job.partial.read(RowRange(index, index + 1), (*ARRAYS, INFO))


def _require_space(job: _Job, n_done: int) -> None:
    """Stops if the blocks still to come and the store would not fit on the disk."""
    q_bytes = 2 if job.config.q_dtype == "float16" else 4
    sizes = []
    for plan in job.plans:
        k = min(job.source.summary.n_ref - 1, 1 + int(_EXPECTED_RANK * plan.w))
        sizes.append(k * (q_bytes * plan.n + 4 * plan.w))
    share = 1 - n_done / len(sizes)
    needed = sum(sizes) + int(share * sum(sizes))
    require_free_space(job.config.output.absolute().parent, needed, job.config.output.name)


def _write_lists(job: _Job, folder: Path) -> None:
    """Writes the variants of the input that are not in the store."""
    summary = job.source.summary
    for name, variants, extra in (
        (DROPPED_TABLE, summary.dropped, {"CODE": summary.reasons.tolist()}),
        (OUTSIDE_TABLE, summary.without_block, {}),
    ):
        write_table(folder / name, {**_columns(variants), **extra})


def _columns(variants: VariantTable) -> dict[str, list[object]]:
    return {
        "CHR": variants.chrom.tolist(),
        "BP": variants.pos.tolist(),
        "SNP": [name or "." for name in variants.id.tolist()],
        "A1": variants.alt.tolist(),
        "A2": variants.ref.tolist(),
        "A1FREQ": [f"{value:.6g}" for value in variants.af.tolist()],
    }


def _compare(job: _Job, folder: Path) -> MismatchSummary | None:
    """Compares z-scores with the new store."""
    path = job.config.sumstats
    if path is None:
        return None
    from tfgen.prior.sumstats.munged import read_munged

    stats = read_munged(path)
    with (
        LdStore(folder) as store,
        Progress(len(job.plans), "comparing", "blocks", mode=job.config.progress) as progress,
    ):

        def after_block() -> None:
            progress.update()
            job.stop.raise_if_requested()

        z = observed_z(store, stats.variants, stats.z, str(path))
        return write_mismatch(store, z, folder, after_block)


def _warnings(job: _Job) -> list[str]:
    summary = job.source.summary
    observed = sum(plan.w for plan in job.plans)
    lost = {
        f"dropped (see {DROPPED_TABLE})": len(summary.dropped),
        f"in no block (see {OUTSIDE_TABLE})": len(summary.without_block),
    }
    total = observed + sum(lost.values())
    return [
        f"{n:,} of {total:,} variants are {what}"
        for what, n in lost.items()
        if n > _MANY_LOST * total
    ]


def _summary(
    job: _Job,
    folder: Path,
    n_resumed: int,
    seconds: float,
    mismatch: MismatchSummary | None,
    warnings: Sequence[str],
) -> BuildSummary:
    source = job.source.summary
    with LdStore(folder) as store:
        digest, blocks = store.digest, store.blocks
        unknown = int(np.count_nonzero(np.isnan(store.variants.af)))
    chromosomes = [
        _chromosome(chrom, [info for info in blocks if info.chrom == chrom], folder)
        for chrom in dict.fromkeys(info.chrom for info in blocks)
    ]
    more = mismatch.warnings() if mismatch else []
    if unknown:
        n = sum(info.w for info in blocks)
        more.append(
            f"the frequency of {unknown:,} of {n:,} variants is unknown, so that a prior on this "
            "LD can have no frequency exponent; give --variants a list with A1FREQ"
        )
    return BuildSummary(
        output=job.config.output,
        digest=digest,
        chromosomes=tuple(chromosomes),
        n_resumed=n_resumed,
        seconds=seconds,
        dropped=dict(sorted(Counter(source.reasons.tolist()).items())),
        n_without_block=len(source.without_block),
        n_not_listed=source.n_not_listed,
        n_without_frequency=unknown,
        mismatch=mismatch,
        warnings=(*warnings, *more),
    )


def _chromosome(chrom: str, blocks: Sequence[BlockInfo], folder: Path) -> ChromosomeReport:
    reports = [
        ChromosomeReport(
            chrom, 1, info.n, info.w, info.k, info.discarded_variance, info.min_eigenvalue, 0
        )
        for info in blocks
    ]
    size = (folder / chromosome_file(chrom)).stat().st_size
    return dataclasses.replace(_together(chrom, reports), file_bytes=size)


def _together(name: str, reports: Sequence[ChromosomeReport]) -> ChromosomeReport:
    w = sum(report.w for report in reports)
    return ChromosomeReport(
        chrom=name,
        n_blocks=sum(report.n_blocks for report in reports),
        n=sum(report.n for report in reports),
        w=w,
        k=sum(report.k for report in reports),
        discarded_variance=sum(report.w * report.discarded_variance for report in reports) / w,
        min_eigenvalue=min(report.min_eigenvalue for report in reports),
        file_bytes=sum(report.file_bytes for report in reports),
    )
