"""Scores the variants of a file: from VCF, FASTA and model to a score store."""

import dataclasses
import time
from contextlib import suppress
from itertools import islice

from tfgen.effects.config import ScoringConfig
from tfgen.effects.identity import run_attributes, run_schema
from tfgen.effects.inputs import RunInputs, assembly_warnings, inspect_inputs
from tfgen.effects.pieces import PartialScores, PieceSaver
from tfgen.effects.protocol import EngineFactory, LoadedEngine
from tfgen.effects.results import (
    ScoreSummary,
    collect,
    in_order,
    rejects_path,
    report_path,
    status_counts,
)
from tfgen.effects.rows import RowReader
from tfgen.effects.schema import StoreSchema
from tfgen.effects.scorer import Scorer, check_engine
from tfgen.effects.selfcheck import SelfCheck
from tfgen.effects.store import ScoreStore
from tfgen.effects.windows import WindowGeometry
from tfgen.effects.writer import write_store
from tfgen.errors import OutputError, TfgenError
from tfgen.genome import Fasta
from tfgen.io import (
    OutputLock,
    Progress,
    RejectLog,
    RunReport,
    StopRequest,
    publish,
    refuse_overlap,
    require_free_space,
)
from tfgen.io.pieces import PieceRows, cut, missing_rows
from tfgen.io.shards import RowRange
from tfgen.io.work import partial_folder


@dataclasses.dataclass(frozen=True)
class _Job:
    """A run once its model is loaded."""

    config: ScoringConfig
    inputs: RunInputs
    loaded: LoadedEngine
    reader: RowReader
    schema: StoreSchema
    partial: PartialScores
    stop: StopRequest
    report: RunReport
    warnings: tuple[str, ...]
    batch_size: int


class _BatchSizeChangedError(Exception):
    """The engine shrank its batch size, which moves the last bits of scores."""


def score_variants(
    config: ScoringConfig, engine_factory: EngineFactory, command: str = "variants_score"
) -> ScoreSummary:
    """Scores every variant of a file.

    A record that cannot be scored keeps its row: its scores are NaN and its status says why. The
    work is kept in `OUTPUT.partial/` while it goes on; a run that was killed goes on from there
    when it is started again, and its output is the same, byte for byte, as that of a run that was
    not. Beside the output lie `OUTPUT.run.json` (time, host, counts, self-check) and
    `OUTPUT.rejects.tsv` (the records without a score).

    Args:
        config: The settings.
        engine_factory: Loads the model; called once, after the inputs have been looked at.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        TooManyRejectsError: The output is complete, but too many rows have no score.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        OutputError: The output exists, is being written by another run, was begun with other
            settings, or the disk is full.
        NumericalError: The model gave a score that is not finite.
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other.
        UsageError: The rows asked for are not there, or the output is an input.
    """
    refuse_overlap(
        config.output,
        [config.vcf, config.fasta, config.model, config.targets, config.contig_map],
    )
    with OutputLock(config.output), StopRequest() as stop, Fasta(config.fasta) as fasta:
        _refuse_existing(config)
        job = _prepare(config, engine_factory, fasta, stop, command)
        summary = _tidy_up(job) if _was_published(job) else _score_in_one_shape(job)
    summary.require_few_rejects(config.max_rejected_fraction)
    return summary


def _refuse_existing(config: ScoringConfig) -> None:
    """Stops at an output that must stay, unless a killed run may have left it untidied."""
    if config.output.exists() and not config.output.is_file():
        raise OutputError(f"{config.output}: is not a plain file; choose a file name")
    untidied = (partial_folder(config.output) / "run.json").exists()
    if config.output.exists() and not config.overwrite and not untidied:
        raise _exists(config)


def _prepare(
    config: ScoringConfig,
    engine_factory: EngineFactory,
    fasta: Fasta,
    stop: StopRequest,
    command: str,
) -> _Job:
    """Looks at the inputs, then loads the model."""
    report = RunReport(command, dataclasses.asdict(config), seeds={"self_check": config.seed})
    inputs = inspect_inputs(config, fasta)
    report.inputs = dict(inputs.fingerprints)
    reader = RowReader(config, fasta, inputs.names)
    strict = "error" in (config.on_bad_record, config.ref_policy)
    if strict:
        # A fault in the last row must not show after hours of scoring, nor after a long load.
        for _ in reader.checked([inputs.rows], config.max_indel):
            stop.raise_if_requested()
    loaded = engine_factory(config)
    check_engine(loaded, config)
    if strict:
        # What depends on the window of the model.
        engine = loaded.engine
        geometry = WindowGeometry(engine.sequence_length, engine.target_length)
        for _ in reader.scoring_rows([inputs.rows], geometry):
            stop.raise_if_requested()
    stop.raise_if_requested()
    attributes = run_attributes(config, inputs, loaded)
    warnings = [
        *inputs.warnings,
        *loaded.warnings,
        *assembly_warnings(loaded.contig_lengths, fasta),
    ]
    return _Job(
        config=config,
        inputs=inputs,
        loaded=loaded,
        reader=reader,
        schema=run_schema(config, inputs, loaded, attributes),
        partial=PartialScores(config.output, attributes, config.statistics),
        stop=stop,
        report=report,
        # The targets table is read twice, by the inputs and by the model.
        warnings=tuple(dict.fromkeys(warnings)),
        batch_size=loaded.engine.batch_size,
    )


def _was_published(job: _Job) -> bool:
    """Whether a killed run with the same settings had published its output already.

    Raises:
        OutputError: The output is something else and must stay.
    """
    if job.config.overwrite or not job.config.output.exists():
        return False
    with suppress(TfgenError), ScoreStore(job.config.output) as store:
        if store.attributes == job.schema.attributes:
            return True
    raise _exists(job.config)


def _tidy_up(job: _Job) -> ScoreSummary:
    """Does what a run that was killed after publishing had left to do."""
    with ScoreStore(job.config.output) as store:
        counts = in_order(status_counts(store))
    job.partial.remove()
    rows = job.inputs.rows
    note = f"{job.config.output}: was complete already"
    warnings = (*job.warnings, note)
    return ScoreSummary(job.config.output, rows, counts, len(rows), 0.0, SelfCheck(0, {}), warnings)


def _score_in_one_shape(job: _Job) -> ScoreSummary:
    """Scores all rows with one batch size, from the first row again after it had to shrink."""
    while True:
        try:
            return _score_and_publish(job)
        except _BatchSizeChangedError:
            job.partial.remove()
            job = _with_new_batch_size(job)


def _with_new_batch_size(job: _Job) -> _Job:
    attributes = run_attributes(job.config, job.inputs, job.loaded)
    size = job.loaded.engine.batch_size
    note = f"out of memory at batch size {job.batch_size}: all rows were scored again with {size}"
    return dataclasses.replace(
        job,
        schema=dataclasses.replace(job.schema, attributes=attributes),
        partial=PartialScores(job.config.output, attributes, job.config.statistics),
        warnings=(*job.warnings, note),
        batch_size=size,
    )


def _score_and_publish(job: _Job) -> ScoreSummary:
    """Scores what is missing, then writes all outputs, the store last."""
    config, rows = job.config, job.inputs.rows
    pieces = job.partial.open(config.overwrite)
    n_resumed = sum(len(piece) for piece in pieces)
    _require_space(job, len(rows) - n_resumed)
    started = time.monotonic()
    pieces = _score_missing(job, pieces, n_resumed)
    seconds = time.monotonic() - started
    source = PieceRows(job.partial, rows, pieces)
    with Progress(None, "writing", "blocks", mode=config.progress) as progress:

        def between_blocks() -> None:
            progress.update()
            job.stop.raise_if_requested()

        write_store(job.partial.store, job.schema, source, between_blocks)
    with RejectLog(config.output.parent) as rejects:
        counts, check = collect(job.partial, pieces, config, rejects)
        rejects.write(rejects_path(config.output))
    summary = ScoreSummary(config.output, rows, counts, n_resumed, seconds, check, job.warnings)
    job.report.results = {**summary.results(), "attributes": dict(job.schema.attributes)}
    job.report.write(report_path(config.output))
    publish(job.partial.store, config.output)
    job.partial.remove()
    return summary


def _score_missing(job: _Job, done: list[RowRange], n_resumed: int) -> list[RowRange]:
    """Scores the rows that are not done yet; returns the rows of all pieces, in order."""
    engine = job.loaded.engine
    gaps = missing_rows(job.inputs.rows, done)
    geometry = WindowGeometry(engine.sequence_length, engine.target_length)
    rows = job.reader.scoring_rows(gaps, geometry)
    was_checked = any(job.partial.check(piece).n_rows for piece in done)
    scorer = Scorer(job.config, engine, check_next=not was_checked)
    with Progress(
        len(job.inputs.rows), "scoring", "variants", mode=job.config.progress, initial=n_resumed
    ) as progress:
        for warning in job.warnings:
            progress.note(f"warning: {warning}")
        with PieceSaver(job.partial, job.loaded.rows_per_piece) as saver:
            for step in cut(gaps, job.loaded.rows_per_step):
                scored = scorer.piece(step, list(islice(rows, len(step))))
                if engine.batch_size != job.batch_size:
                    raise _BatchSizeChangedError
                saver.add(scored)
                progress.update(len(step))
                job.stop.raise_if_requested()
    return sorted([*done, *saver.saved])


def _require_space(job: _Job, n_missing: int) -> None:
    """Stops if the pieces still to come and the store would not fit on the disk."""
    schema = job.schema
    whole = dataclasses.replace(schema, float16=False)
    pieces = whole.size * n_missing // max(1, schema.n_rows)
    require_free_space(
        job.config.output.absolute().parent, pieces + schema.size, job.config.output.name
    )


def _exists(config: ScoringConfig) -> OutputError:
    return OutputError(f"{config.output}: exists; choose another output or pass --overwrite")
