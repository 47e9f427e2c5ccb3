"""The table of a simulation's truth: log f and the effect of every variant."""

import gzip
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, OutputError
from tfgen.genome import VariantTable
from tfgen.genome.compression import decompressed, require_whole
from tfgen.io import publish

COLUMNS: Final = ("SNP", "CHR", "BP", "A1", "A2", "A1FREQ", "LOGF", "B", "OBSERVED")

_BLOCK_ROWS = 100_000


@dataclass(frozen=True)
class TruthTable:
    """What is true of n simulated variants.

    Attributes:
        variants: The variants; effects are those of `alt` (A1) [n].
        logf: Log prior variance on the z scale, -inf without an effect [n] float64.
        b: Joint effect on the z scale [n] float64.
        observed: Whether the variant has a z-score [n] bool.
    """

    variants: VariantTable
    logf: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    observed: npt.NDArray[np.bool_]


def write_truth(path: Path, truth: TruthTable) -> None:
    """Writes the table, compressed with gzip, in one step: the same truth, the same bytes.

    Raises:
        OutputError: The file cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with (
            partial.open("xb") as raw,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream,
        ):
            stream.write(("\t".join(COLUMNS) + "\n").encode())
            for start in range(0, len(truth.b), _BLOCK_ROWS):
                stream.write(_rows(truth, slice(start, start + _BLOCK_ROWS)))
        publish(partial, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; free some space there"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read_truth(path: Path) -> TruthTable:
    """Reads a table of `write_truth`; numbers come back exactly.

    Raises:
        InputFormatError: A column is missing, or a value is no number.
    """
    require_whole(path)
    with decompressed(path) as stream:
        lines = [line.decode("utf-8", "replace").rstrip("\r\n").split("\t") for line in stream]
    if not lines or tuple(lines[0]) != COLUMNS:
        raise InputFormatError(
            f"{path}:1: found {' '.join(lines[0]) if lines else 'nothing'}; expected the columns "
            f"{' '.join(COLUMNS)} of a simulation's truth"
        )
    for number, fields in enumerate(lines[1:], start=2):
        if len(fields) != len(COLUMNS):
            raise InputFormatError(
                f"{path}:{number}: {len(fields)} fields; expected {len(COLUMNS)}"
            )
    columns = dict(zip(COLUMNS, zip(*lines[1:], strict=True), strict=False))
    try:
        numbers = {name: _numbers(columns.get(name, ())) for name in ("A1FREQ", "LOGF", "B")}
        pos = np.array(columns.get("BP", ()), np.int64)
    except ValueError as error:
        raise InputFormatError(
            f"{path}: {error}; expected numbers in BP, A1FREQ, LOGF and B"
        ) from error
    texts = {name: columns.get(name, ()) for name in ("SNP", "CHR", "A1", "A2")}
    names = ["" if name == "." else name for name in texts["SNP"]]
    return TruthTable(
        VariantTable.of(texts["CHR"], pos, texts["A2"], texts["A1"], names, numbers["A1FREQ"]),
        numbers["LOGF"],
        numbers["B"],
        np.array(columns.get("OBSERVED", ()), object) == "1",
    )


def _rows(truth: TruthTable, rows: slice) -> bytes:
    table = truth.variants.take(rows)
    columns = (
        [name or "." for name in table.id],
        table.chrom,
        [str(pos) for pos in table.pos.tolist()],
        table.alt,
        table.ref,
        [_text(value) for value in table.af.tolist()],
        [repr(value) for value in truth.logf[rows].tolist()],
        [repr(value) for value in truth.b[rows].tolist()],
        ["1" if value else "0" for value in truth.observed[rows].tolist()],
    )
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)).encode()


def _text(frequency: float) -> str:
    return "NA" if math.isnan(frequency) else repr(frequency)


def _numbers(values: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.array(["nan" if value == "NA" else value for value in values], np.float64)
