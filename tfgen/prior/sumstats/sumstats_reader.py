"""Reads summary statistics block by block: text tables, gzip or bgzip, and parquet."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from tfgen.errors import InputFormatError, UnsupportedInputError, UsageError
from tfgen.genome.compression import decompressed, require_whole
from tfgen.prior.sumstats.sumstats_columns import TEXT_FIELDS, ColumnMap
from tfgen.prior.sumstats.sumstats_numbers import Column

Resolver = Callable[[Sequence[str]], ColumnMap]
"""Finds the columns of a file by its header."""

_BLOCK_BYTES: Final = 1 << 22
_BLOCK_ROWS: Final = 50_000
_LONGEST_HEADER: Final = 1 << 20
_FOREIGN: Final = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "unzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
}


@dataclass(frozen=True)
class Block:
    """Some consecutive records of a file.

    Attributes:
        columns: Where the fields stand.
        first: 1-based line of the first record, or its number in a parquet file.
        values: Field to its values [n].
    """

    columns: ColumnMap
    first: int
    values: dict[str, Column]

    def __len__(self) -> int:
        """Number of records."""
        return len(next(iter(self.values.values())))


def read_blocks(path: Path, resolve: Resolver) -> Iterator[Block]:
    """Reads the columns that are needed, in file order.

    Text may be separated by tabs, commas or blanks; CRLF line ends, blanks around values, a byte
    order mark, quotes, lines above the header that begin with `##`, a `#` before the first name and
    blank lines at the end are accepted.

    Args:
        path: The file; parquet is known by its first bytes.
        resolve: Gets the names of the columns.

    Yields:
        Blocks of at least one record.

    Raises:
        InputFormatError: The file cannot be read, is truncated, is no table, or a line has
            another number of fields than the header.
        UnsupportedInputError: The file is compressed in another way.
        UsageError: The package pyarrow is missing.
    """
    require_whole(path)
    with decompressed(path) as stream:
        head = cast(io.BufferedReader, stream).peek(8)[:8]
        if not head.startswith(b"PAR1"):
            _refuse_foreign(path, head)
            yield from _text_blocks(path, stream, resolve)
            return
    yield from _parquet_blocks(path, resolve)


def _refuse_foreign(path: Path, head: bytes) -> None:
    for magic, tool in _FOREIGN.items():
        if head.startswith(magic):
            raise UnsupportedInputError(
                f"{path}: is compressed, but not with gzip; unpack it with {tool} first"
            )


def _text_blocks(path: Path, stream: Any, resolve: Resolver) -> Iterator[Block]:
    number, header = _header(path, stream)
    separator = "\t" if "\t" in header else "," if "," in header else None
    columns = resolve([name.lstrip("#") for name in _fields(header, separator)])
    n_fields = len(_fields(header, separator))
    fields = sorted(columns.index, key=lambda field: columns.index[field])
    pick = itemgetter(*(columns.index[field] for field in fields))
    blank = 0
    while lines := stream.readlines(_BLOCK_BYTES):
        rows = []
        for offset, line in enumerate(_decoded(path, lines, number + 1), start=number + 1):
            if not line:
                blank = blank or offset
                continue
            if blank:
                raise InputFormatError(f"{path}:{blank}: blank line; remove it")
            row = _fields(line, separator)
            if len(row) != n_fields:
                raise InputFormatError(
                    f"{path}:{offset}: {len(row)} fields, but the header has {n_fields}; give "
                    "every column a value, or get the file again if it was cut short"
                )
            rows.append(pick(row))
        if rows:
            values = [np.array(column, object) for column in zip(*rows, strict=True)]
            yield Block(columns, number + 1, dict(zip(fields, values, strict=True)))
        number += len(lines)


def _header(path: Path, stream: Any) -> tuple[int, str]:
    """1-based number and text of the header line."""
    number = 0
    while line := stream.readline(_LONGEST_HEADER):
        number += 1
        if len(line) == _LONGEST_HEADER:
            break
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        text = next(_decoded(path, [line], number))
        if text and not text.startswith("##"):
            return number, text
    raise InputFormatError(f"{path}: no header line; expected a table with column names")


def _decoded(path: Path, lines: Sequence[bytes], first: int) -> Iterator[str]:
    """The text of lines without the blanks around it."""
    for number, line in enumerate(lines, start=first):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise InputFormatError(f"{path}:{number}: not UTF-8 text; expected a table")
        yield text.strip("\r\n ")


def _fields(line: str, separator: str | None) -> list[str]:
    """The values of a line; with a separator, one value may be empty."""
    if '"' in line:
        line = line.replace('"', "")
    fields = line.split(separator)
    return [field.strip() for field in fields] if separator and " " in line else fields


def _parquet_blocks(path: Path, resolve: Resolver) -> Iterator[Block]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            f"{path}: reading parquet needs pyarrow: pip install 'tfgen[io]'"
        ) from error
    try:
        with pq.ParquetFile(path) as file:
            columns = resolve(file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(_BLOCK_ROWS, columns=list(columns.names.values())):
                values = {
                    field: _parquet_column(batch.column(name), field)
                    for field, name in columns.names.items()
                }
                if batch.num_rows:
                    yield Block(columns, number + 1, values)
                number += batch.num_rows
    except (pa.ArrowException, OSError, KeyError) as error:
        line = str(error).partition("\n")[0]
        raise InputFormatError(f"{path}: cannot be read as parquet ({line})") from error


def _parquet_column(column: Any, field: str) -> Column:
    """Numbers as float64, NaN where null; everything else as text, "" where null."""
    import pyarrow as pa

    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if number and field not in TEXT_FIELDS:
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(values, float)
    texts = column.cast(pa.string()).fill_null("").to_pylist()
    return np.array([text.strip() for text in texts], object)
