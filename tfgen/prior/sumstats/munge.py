"""Summary statistics in any usual format to one table on the alleles of a panel."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfgen.errors import InputMismatchError, OutputError, TooManyRejectsError
from tfgen.io import (
    OutputLock,
    Progress,
    RejectLog,
    RunReport,
    StopRequest,
    input_fingerprint,
)
from tfgen.prior.sumstats.effective_n import bolt_factor
from tfgen.prior.sumstats.harmonise import (
    Harmonised,
    different_alleles,
    genome_order,
    harmonise,
    without_panel,
)
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_filters import drop_low_n, filter_harmonised, least_n
from tfgen.prior.sumstats.munge_input import (
    InputRecords,
    Panel,
    found_by_id,
    nothing_left,
    read_input,
    stop_if_requested,
)
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.munged import MungedStats, new_munged, require_writer
from tfgen.prior.sumstats.side_files import (
    REJECTS,
    REPORT,
    beside,
    refuse_foreign,
    refuse_overlaps,
)
from tfgen.prior.sumstats.sumstats_columns import ColumnMap
from tfgen.prior.sumstats.sumstats_panel import read_panel
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords

USUAL_P_RATIOS: Final = (0.8, 1.25)
"""Median of |z| over the |z| of the P value beyond which there is a warning."""

MEDIAN_CHISQ: Final = 0.4549
"""Median of the chi-squared distribution with one degree of freedom, as LDSC rounds it."""


_ENDS = (REJECTS, REPORT)


@dataclass(frozen=True)
class MungeSummary:
    """What a run came to.

    Attributes:
        output: The table.
        columns: Where the fields of the input were found.
        n_read: Number of rows of the input.
        n_written: Number of rows of the output.
        counts: Code to number of rows that left, see `munge_ledger`.
        n_faults: How many of them were faulty.
        matches: Way of matching the panel's alleles to number of rows, before the filters after it.
        kept_matches: The same for the rows of the output.
        n_flipped: Palindromic variants whose strand, told by frequency, changed the sign.
        n_factor: By what N was multiplied.
        median_n: Median sample size.
        lambda_gc: Median chi-squared statistic over its expectation.
        mean_chisq: Mean chi-squared statistic.
        build: Genome build of the positions.
        warnings: What the user should know.
    """

    output: Path
    columns: ColumnMap
    n_read: int
    n_written: int
    counts: Mapping[str, int]
    n_faults: int
    matches: Mapping[str, int]
    kept_matches: Mapping[str, int]
    n_flipped: int
    n_factor: float
    median_n: float
    lambda_gc: float
    mean_chisq: float
    build: str
    warnings: tuple[str, ...]

    def results(self) -> dict[str, Any]:
        """The summary in the types of JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["output"]
        values["format"] = self.columns.format
        values["columns"] = dict(self.columns.names)
        return {**values, "counts": dict(self.counts), "warnings": list(self.warnings)}


def munge(config: MungeConfig, command: str = "prior_munge") -> MungeSummary:
    """Reads, checks, filters and harmonises summary statistics and writes them as one table.

    Beside the output lie `OUTPUT.run.json` (time, host, counts) and `OUTPUT.rejects.tsv` (the rows
    that are not in the output, with the reason). A run that was killed leaves nothing under the
    name of the output; start it again.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        What the run came to.

    Raises:
        TooManyRejectsError: The output is complete, but too many rows were faulty.
        InterruptedRunError: SIGINT or SIGTERM; nothing was written.
        OutputError: The output exists, is being written by another run, or the disk is full.
        InputFormatError: An input cannot be parsed, has no variant to keep, or its effect allele
            is in doubt.
        InputMismatchError: No variant is in the panel, or the builds differ.
        UsageError: The sample size is missing, or the output is an input.
    """
    refuse_overlaps(config.output, _ENDS, [config.input, config.panel])
    require_writer(config.output)
    with (
        OutputLock(config.output),
        StopRequest() as stop,
        RejectLog(config.output.parent) as rejects,
    ):
        _refuse_existing(config)
        report = RunReport(command, dataclasses.asdict(config))
        report.inputs = {
            name: input_fingerprint(path)
            for name, path in (("input", config.input), ("panel", config.panel))
            if path is not None
        }
        ledger = Ledger(rejects, list_filtered=config.rejects == "all")
        panel = Panel(None, "")
        if config.panel is not None:
            panel = Panel(*read_panel(config.panel))
        with Progress(None, "reading", "rows", mode=config.progress) as progress:
            read = read_input(config, panel, ledger, progress, stop)
        summary, stats = _harmonised(config, panel, read, ledger)
        with Progress(len(stats), "writing", "variants", mode=config.progress) as progress:
            for warning in summary.warnings:
                progress.note(f"warning: {warning}")

            def between_blocks(n: int) -> None:
                progress.update(n)
                stop_if_requested(stop)

            with new_munged(config.output, stats, between_blocks):
                rejects.write(beside(config.output, REJECTS))
                report.results = summary.results()
                report.write(beside(config.output, REPORT))
    _require_few_faults(config, summary)
    return summary


def _refuse_existing(config: MungeConfig) -> None:
    if config.output.exists() and not config.output.is_file():
        raise OutputError(f"{config.output}: is not a plain file; choose a file name")
    if config.output.exists() and not config.overwrite:
        raise OutputError(f"{config.output}: exists; choose another output or pass --overwrite")
    refuse_foreign(config.output, _ENDS)


def _harmonised(
    config: MungeConfig, panel: Panel, read: InputRecords, ledger: Ledger
) -> tuple[MungeSummary, MungedStats]:
    """Everything after reading."""
    factor = 1.0
    if config.n_eff == "auto":
        factor = bolt_factor(read.bolt_ratio, str(config.input))
    records = drop_low_n(read.records, least_n(read.n, config), ledger)
    found = _on_panel(config, panel, records, read, ledger)
    matches = found.matches
    found, n_flipped = filter_harmonised(found, config, ledger)
    if not len(found.records):
        raise nothing_left(config, ledger)
    records = found.records.take(genome_order(found.records.variants))
    records = dataclasses.replace(records, n=records.n * factor)
    chisq = records.z**2
    summary = MungeSummary(
        output=config.output,
        columns=read.columns,
        n_read=read.n_rows,
        n_written=len(records),
        counts=ledger.counts,
        n_faults=ledger.n_faults,
        matches=matches,
        kept_matches=found.matches,
        n_flipped=n_flipped,
        n_factor=factor,
        median_n=float(np.median(records.n)),
        lambda_gc=float(np.median(chisq) / MEDIAN_CHISQ),
        mean_chisq=float(np.mean(chisq)),
        build=panel.build or config.build,
        warnings=_warnings(config, read, records),
    )
    stats = MungedStats(
        records.variants,
        records.z,
        records.n,
        summary.results(),
        records.maf,
        records.beta,
        records.se,
    )
    return summary, stats


def _on_panel(
    config: MungeConfig, panel: Panel, records: SumstatsRecords, read: InputRecords, ledger: Ledger
) -> Harmonised:
    """The records with the panel's alleles, if there is one."""
    if panel.variants is None:
        return without_panel(records)
    by_id = found_by_id(config, read.columns)
    found = harmonise(records, panel.variants, by_id, str(config.panel), ledger)
    if not len(found.records):
        start = f"{config.panel}: has none of the {len(read.n)} variants of {config.input}"
        n_different = ledger.counts.get("ALLELES_DIFFER", 0)
        if n_different:
            pairs = "; ".join(different_alleles(records, panel.variants, by_id, str(config.panel)))
            raise InputMismatchError(
                f"{start}: {n_different} have other alleles in the panel, and "
                f"{ledger.counts.get('NOT_IN_PANEL', 0)} are not there at all ({pairs}); check "
                "which columns hold the alleles, and the build"
            )
        kind = "identifier" if by_id else "position, which differs between builds"
        raise InputMismatchError(
            f"{start}, looked for by {kind}; the panel begins with {panel.variants.label(0)}, the "
            f"input with {read.example}"
        )
    return found


def _warnings(config: MungeConfig, read: InputRecords, records: SumstatsRecords) -> tuple[str, ...]:
    notes = []
    low, high = USUAL_P_RATIOS
    if not low <= read.p_ratio <= high and not np.isnan(read.p_ratio):
        notes.append(
            f"{config.input}: |z| is {read.p_ratio:.2g} times what the P value says, in the median "
            "variant; check which columns hold effect, standard error and P"
        )
    if np.isnan(records.maf).all() and config.min_maf:
        notes.append(f"{config.input}: no frequencies, so --min_maf had no effect")
    if config.qc and np.isnan(records.maf * records.se * records.beta).all():
        notes.append(f"{config.input}: no frequency, BETA and SE together, so --qc had no effect")
    return tuple(notes)


def _require_few_faults(config: MungeConfig, summary: MungeSummary) -> None:
    considered = summary.n_read - summary.counts.get("TEST", 0)
    if summary.n_faults > config.max_rejected_fraction * considered:
        raise TooManyRejectsError(
            f"{config.output}: complete, but {summary.n_faults} of {considered} rows were faulty, "
            f"more than --max_rejected_fraction={config.max_rejected_fraction:g} allows; see "
            f"{beside(config.output, REJECTS)}"
        )
