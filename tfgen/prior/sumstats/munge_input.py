"""Reads the input of a munging run once, block by block."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tfgen.errors import InputFormatError, InterruptedRunError
from tfgen.genome import VariantTable
from tfgen.io import Progress, StopRequest
from tfgen.prior.sumstats.effective_n import n_fields
from tfgen.prior.sumstats.harmonise import possibly_in
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_columns import ColumnMap, resolve_columns
from tfgen.prior.sumstats.sumstats_numbers import Floats, Mask
from tfgen.prior.sumstats.sumstats_panel import require_same_build
from tfgen.prior.sumstats.sumstats_reader import read_blocks
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords, parse_block, ratio_to_p

LARGEST_MEDIAN_Z: Final = 0.1
"""Median z-score, and median odds ratio - 1, beyond which the effect allele is in doubt."""

LEAST_FOR_MEDIAN: Final = 1000
"""Number of variants below which a median says too little to stop."""


@dataclass(frozen=True)
class Panel:
    """The panel of a run, if it has one.

    Attributes:
        variants: Its variants; None without a panel.
        build: Its genome build, "" if unknown.
    """

    variants: VariantTable | None
    build: str


@dataclass(frozen=True)
class InputRecords:
    """What is known after the input was read once.

    Attributes:
        records: The records that may be in the panel [n].
        columns: Where they were found.
        n_rows: Number of rows of the input.
        example: The first sound record, for a message.
        p_ratio: See `ratio_to_p`.
        n: Sample sizes of all sound records, in the panel or not.
        bolt_ratio: See `bolt_ratios`; those of all sound records that have one.
    """

    records: SumstatsRecords
    columns: ColumnMap
    n_rows: int
    example: str
    p_ratio: float
    n: Floats
    bolt_ratio: Floats


def read_input(
    config: MungeConfig, panel: Panel, ledger: Ledger, progress: Progress, stop: StopRequest
) -> InputRecords:
    """Reads the rows, checks them, and keeps those that may be in the panel.

    Args:
        config: The settings.
        panel: The panel.
        ledger: Counts the rows that leave.
        progress: Counts the rows.
        stop: May end the reading between two blocks.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM.
        InputFormatError: The input cannot be parsed, has no sound row, or its effects lean to one
            side.
        InputMismatchError: The builds differ.
        UsageError: The sample size is missing.
    """
    found = _Parts()
    columns: list[ColumnMap] = []
    tests: list[Callable[[SumstatsRecords], Mask]] = []

    def resolve(header: Sequence[str]) -> ColumnMap:
        resolved = resolve_columns(config.input, header, config.format, config.overrides)
        n_fields(config, resolved)  # a missing sample size shows before the first row is read
        _require_positions(config, resolved)
        columns.append(resolved)
        if config.panel is not None and panel.variants is not None:
            by_id = found_by_id(config, resolved)
            if not by_id:
                require_same_build(config.panel, panel.build, config.build)
            tests.append(possibly_in(panel.variants, by_id))
        return resolved

    for block in read_blocks(config.input, resolve):
        if not found.n_rows:
            found.p_ratio = ratio_to_p(block)
        records = parse_block(block, config, ledger)
        found.note(records, len(block))
        for test in tests:
            far = ~test(records)
            ledger.drop("NOT_IN_PANEL", far, records.describe)
            records = records.take(~far)
        found.records.append(records)
        progress.update(len(block))
        stop_if_requested(stop)
    if not found.n_rows:
        raise InputFormatError(f"{config.input}: no variants; expected a row for every variant")
    if not found.example:
        raise nothing_left(config, ledger)
    return found.read(config, columns[0])


class _Parts:
    """Collects what `InputRecords` holds."""

    def __init__(self) -> None:
        self.records: list[SumstatsRecords] = []
        self.n_rows = 0
        self.p_ratio = float("nan")
        self.example = ""
        self._columns: dict[str, list[Floats]] = {name: [] for name in ("n", "z", "beta")}
        self._ratios: list[Floats] = []

    def note(self, records: SumstatsRecords, n_rows: int) -> None:
        """Keeps the columns that are judged as a whole, whether in the panel or not."""
        self.n_rows += n_rows
        if len(records) and not self.example:
            self.example = records.variants.label(0)
        for name, columns in self._columns.items():
            columns.append(getattr(records, name))
        self._ratios.append(records.bolt_ratio[~np.isnan(records.bolt_ratio)])

    def read(self, config: MungeConfig, columns: ColumnMap) -> InputRecords:
        """The whole; stops if effects lean to one side."""
        n, z, beta = (np.concatenate(parts) for parts in self._columns.values())
        _check_median(config, z, beta, columns)
        records = SumstatsRecords.concatenate(self.records)
        ratios = np.concatenate(self._ratios)
        return InputRecords(records, columns, self.n_rows, self.example, self.p_ratio, n, ratios)


def stop_if_requested(stop: StopRequest) -> None:
    """Ends the run if a signal has come; unlike longer ones it keeps nothing of its work.

    Raises:
        InterruptedRunError: With exit code 130 (SIGINT) or 143 (SIGTERM).
    """
    try:
        stop.raise_if_requested()
    except InterruptedRunError as error:
        number = error.exit_code - 128
        raise InterruptedRunError(
            f"stopped by {signal.Signals(number).name}; nothing was written, run the same command "
            "to start again",
            number,
        ) from error


def found_by_id(config: MungeConfig, columns: ColumnMap) -> bool:
    """Whether variants are found in the panel by their identifiers."""
    return config.match == "id" or not columns.has_positions


def _require_positions(config: MungeConfig, columns: ColumnMap) -> None:
    if not columns.has_positions and config.panel is None:
        raise InputFormatError(
            f"{config.input}: no columns CHR and BP; pass --panel to find positions by SNP"
        )
    if config.match == "position" and not columns.has_positions:
        raise InputFormatError(f"{config.input}: no columns CHR and BP; pass --match=id")
    if config.match == "id" and "SNP" not in columns:
        raise InputFormatError(f"{config.input}: no column SNP; pass --match=position")


def _check_median(config: MungeConfig, z: Floats, beta: Floats, columns: ColumnMap) -> None:
    """Stops if effects lean to one side, as when a column holds something else."""
    if config.allow_skewed or len(z) < LEAST_FOR_MEDIAN:
        return
    name, median, null = "z-score", float(np.median(z)), 0.0
    known = beta[~np.isnan(beta)]
    if "OR" in columns and "BETA" not in columns and len(known):
        odds = float(np.exp(np.median(known)))
        if abs(odds - 1) > LARGEST_MEDIAN_Z:
            name, median, null = "odds ratio", odds, 1.0
    if abs(median - null) > LARGEST_MEDIAN_Z:
        raise InputFormatError(
            f"{config.input}: the median {name} is {median:.3g}, expected about {null:g}; check "
            f"that {', '.join(columns.names[f] for f in ('Z', 'BETA', 'OR') if f in columns)} is "
            "what its name says, or pass --allow_skewed, for example for a single locus"
        )


def nothing_left(config: MungeConfig, ledger: Ledger) -> InputFormatError:
    """The error of a run whose filters and checks took everything."""
    counts = ", ".join(f"{code} {n}" for code, n in ledger.counts.items())
    return InputFormatError(f"{config.input}: no variant is left ({counts})")
