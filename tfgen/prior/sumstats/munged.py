"""Munged summary statistics: the table that the programs of the prior read.

One row per variant in the order of the genome, with the columns SNP CHR BP A1 A2 Z N MAF A1FREQ
BETA SE. A1 is the effect allele: Z, A1FREQ and BETA are about it. NA stands for what is unknown,
`.` for an unknown SNP. There are no comment lines, because LDSC and PolyFun would take them for the
header; what determined the numbers is in the metadata of a parquet file, and beside a text file in
`FILE.run.json`.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, OutputError, UsageError
from tfgen.genome import VariantTable
from tfgen.io import RejectLog, publish
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_columns import FIELDS, ColumnMap, resolve_columns
from tfgen.prior.sumstats.sumstats_numbers import Floats, is_missing
from tfgen.prior.sumstats.sumstats_reader import Block, read_blocks
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords, parse_block

COLUMNS: Final = ("SNP", "CHR", "BP", "A1", "A2", "Z", "N", "MAF", "A1FREQ", "BETA", "SE")
REQUIRED: Final = ("CHR", "BP", "A1", "A2", "Z", "N")
_METADATA: Final = b"tfgen"
_BLOCK_ROWS: Final = 100_000


@dataclass(frozen=True)
class MungedStats:
    """Summary statistics of one trait.

    Attributes:
        variants: The variants; `alt` is the effect allele A1, `af` its frequency [n].
        z: z-score of `alt` [n] float64.
        n: Sample size, effective where that applies [n] float64.
        info: What determined the numbers, for example `build`; empty if the file does not say.
        maf: Minor allele frequency [n], NaN where unknown.
        beta: Effect of one copy of `alt`, or its log odds ratio [n], NaN where unknown.
        se: Its standard error [n], NaN where unknown.
    """

    variants: VariantTable
    z: Floats
    n: Floats
    info: dict[str, Any] = field(default_factory=dict)
    maf: Floats = field(default_factory=lambda: np.zeros(0))
    beta: Floats = field(default_factory=lambda: np.zeros(0))
    se: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("maf", "beta", "se"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.z), np.nan))

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.z)


def write_munged(path: Path, stats: MungedStats) -> None:
    """Writes the table in one step; see `new_munged`."""
    with new_munged(path, stats):
        pass


def require_writer(path: Path) -> None:
    """Stops, before any work, at an output whose format needs a package that is not there.

    Raises:
        UsageError: The package pyarrow is missing.
    """
    if path.suffix != ".parquet":
        return
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{path}: writing parquet needs pyarrow: pip install 'tfgen[io]'"
        ) from error


@contextmanager
def new_munged(
    path: Path, stats: MungedStats, between_blocks: Callable[[int], object] = lambda n: None
) -> Iterator[None]:
    """Writes the table, then runs the block, then gives the table its name.

    The same statistics give the same bytes, with the same versions of pysam and pyarrow.

    Args:
        path: `.parquet`; text compressed with bgzip for `.gz`; plain text else.
        stats: What to write.
        between_blocks: Gets the number of rows written since the last call.

    Yields:
        When all rows are written, for what has to lie beside the table.

    Raises:
        OutputError: The file cannot be written.
        UsageError: The package pyarrow is missing.
    """
    require_writer(path)
    with _partial(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(partial, stats)
            between_blocks(len(stats))
        else:
            with _text_writer(partial, path.suffix == ".gz") as write:
                _write_text(write, stats, between_blocks)
        yield


def read_munged(path: Path) -> MungedStats:
    """Reads munged statistics, or a table in the layout of LDSC or PolyFun that is complete.

    Z is read from its own column only: one that is missing is not made up from BETA and SE, which
    is for `munge` to do and to count.

    Args:
        path: Text (plain, gzip or bgzip) or parquet with CHR, BP, A1, A2, Z and N, and optionally
            SNP, MAF, A1FREQ, BETA and SE.

    Returns:
        The statistics in file order.

    Raises:
        InputFormatError: A column is missing, or a record has a fault: the first one is named.
        UsageError: The package pyarrow is missing.
    """
    # Nothing is filtered here; any record that would be left out is an error.
    config = MungeConfig(
        input=path, output=path.with_name("x.tsv"), min_maf=0.0, min_info=0.0, rejects="all"
    )
    parts: list[SumstatsRecords] = []
    for block in read_blocks(path, lambda header: _complete(path, list(header))):
        _refuse_missing(path, block, "Z")
        ledger = Ledger(_FirstFault(path))
        parts.append(parse_block(block, config, ledger))
    if not parts:
        raise InputFormatError(f"{path}: no variants; expected munged summary statistics")
    records = SumstatsRecords.concatenate(parts)
    return MungedStats(
        records.variants,
        records.z,
        records.n,
        _read_info(path),
        records.maf,
        records.beta,
        records.se,
    )


class _FirstFault(RejectLog):
    """A reject log whose first entry ends the reading."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def add(
        self,
        line: int,
        chrom: str,
        pos: int | str,
        id: str,
        ref: str,
        alt: str,
        code: str,
        detail: str = "",
    ) -> None:
        """Raises InputFormatError."""
        raise InputFormatError(
            f"{self._path}:{line}: {chrom}:{pos}:{ref}:{alt} ({id}) is faulty, {code}: {detail}; "
            "prior_munge.py removes such variants"
        )


def _refuse_missing(path: Path, block: Block, field: str) -> None:
    rows = np.flatnonzero(is_missing(block.values[field]))
    if rows.size:
        raise InputFormatError(
            f"{path}:{block.first + int(rows[0])}: {field} is missing; expected a number in every "
            "row; prior_munge.py computes it from BETA and SE, or leaves the variant out"
        )


def _complete(path: Path, header: list[str]) -> ColumnMap:
    lower = [name.lower() for name in header]
    missing = [name for name in REQUIRED if name.lower() not in lower]
    if missing:
        raise InputFormatError(
            f"{path}: no column {', '.join(missing)} (columns {', '.join(header)}); make it with "
            "prior_munge.py, with --panel if positions are missing"
        )
    own = {name: name if name in COLUMNS and name.lower() in lower else "" for name in FIELDS}
    return resolve_columns(path, header, "generic", own)


def _columns(stats: MungedStats) -> dict[str, npt.NDArray[Any]]:
    table = stats.variants
    return {
        "SNP": np.where(table.id == "", ".", table.id),
        "CHR": table.chrom,
        "BP": table.pos,
        "A1": table.alt,
        "A2": table.ref,
        "Z": stats.z,
        "N": stats.n,
        "MAF": stats.maf,
        "A1FREQ": table.af,
        "BETA": stats.beta,
        "SE": stats.se,
    }


def _texts(column: npt.NDArray[Any]) -> list[str]:
    """Values as text; numbers with as many digits as tell them apart, NA for NaN."""
    if column.dtype.kind != "f":
        return [str(value) for value in column.tolist()]
    return ["NA" if math.isnan(x) else repr(x).removesuffix(".0") for x in column.tolist()]


def _write_text(
    write: Callable[[str], object], stats: MungedStats, between_blocks: Callable[[int], object]
) -> None:
    columns = _columns(stats).values()
    write("\t".join(COLUMNS) + "\n")
    for start in range(0, len(stats), _BLOCK_ROWS):
        texts = [_texts(column[start : start + _BLOCK_ROWS]) for column in columns]
        write("".join("\t".join(row) + "\n" for row in zip(*texts, strict=True)))
        between_blocks(len(texts[0]))


def _write_parquet(path: Path, stats: MungedStats) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _columns(stats)
    if all(name.isdigit() for name in set(columns["CHR"].tolist())):
        columns["CHR"] = columns["CHR"].astype(np.int64)  # as PolyFun has it
    arrays = {
        name: pa.array(values.tolist(), pa.string()) if values.dtype == object else pa.array(values)
        for name, values in columns.items()
    }
    text = json.dumps(stats.info, sort_keys=True, allow_nan=False)
    table = pa.table(arrays).replace_schema_metadata({_METADATA: text.encode()})
    pq.write_table(table, path)


def _read_info(path: Path) -> dict[str, Any]:
    """What a parquet file says about itself, or the run report beside a text file; else nothing."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        metadata = pq.read_schema(path).metadata or {}
        text = metadata.get(_METADATA, b"{}").decode(errors="replace")
    else:
        report = path.with_name(path.name + ".run.json")
        text = report.read_text("utf-8", errors="replace") if report.is_file() else "{}"
    found: object = None
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
    if isinstance(found, dict) and path.suffix != ".parquet":
        found = found.get("results")
    return found if isinstance(found, dict) else {}


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """A name beside `path`; what is there at the end becomes `path`."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        yield partial
        publish(partial, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; free some space there"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _text_writer(path: Path, compressed: bool) -> Iterator[Callable[[str], object]]:
    if compressed:
        import pysam

        # Blocked gzip: any gzip reader takes it, and a file cut short is noticed.
        with pysam.BGZFile(str(path), "w") as stream:
            yield lambda text: stream.write(text.encode())
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream.write
