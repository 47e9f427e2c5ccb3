"""Columns of large tables: TSV, CSV or blank-separated text, plain or gzip, and parquet.

Every line is counted, so that a fault is named with its line; nothing is repaired silently.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, UsageError
from tfgen.genome.compression import decompressed, require_whole

MISSING = ("", "NA", "NaN", "nan", "N/A", ".", "null")
"""What stands for a missing number."""

LARGEST = float(np.finfo(np.float32).max)
"""Features are kept as 32-bit floats; what is larger would be infinite."""

_LINES_PER_CHUNK = 1 << 15
_BLANKS = r"\s+"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

Column = npt.NDArray[Any]


class FeatureTable:
    """A table of which columns can be read by name.

    Attributes:
        path: The file.
        columns: Names of its columns; "1", "2", ... in a file without a header line.

    Args:
        path: The file; parquet by its suffix, text otherwise.
        header: Whether the first line of a text file has the names of the columns.

    Raises:
        InputFormatError: The file is missing, empty, damaged, or repeats a column name.
        UsageError: A parquet file, and pyarrow is not installed.
    """

    def __init__(self, path: Path, header: bool = True) -> None:
        self.path = path
        self._header = header
        self._is_parquet = path.suffix == ".parquet"
        if not path.is_file():
            raise InputFormatError(f"{path}: no such file; check the name")
        if self._is_parquet:
            self.columns = tuple(_parquet(path).schema_arrow.names)
        else:
            require_whole(path)
            self._separator, self.columns = self._text_columns()
        repeated = [name for name in self.columns if self.columns.count(name) > 1]
        if repeated:
            raise InputFormatError(
                f"{path}: repeated column {repeated[0]!r}; give each its own name"
            )

    def first(self, *aliases: str) -> str:
        """The first column with one of some names, whatever their case; "" if there is none."""
        by_name = {name.lower().lstrip("#"): name for name in reversed(self.columns)}
        return next((by_name[alias] for alias in aliases if alias in by_name), "")

    def where(self, row: int) -> str:
        """File and line of a row from 0, for a message."""
        if self._is_parquet:
            return f"{self.path}: row {row + 1}"
        return f"{self.path}:{row + 1 + self._header}"

    def read(self, text: Sequence[str], numbers: Sequence[str]) -> dict[str, Column]:
        """Some columns, whole.

        Args:
            text: Columns that come as they are, str objects [rows]; missing text is "".
            numbers: Columns of numbers that a 32-bit float can hold, float64 [rows]; NaN where
                missing.

        Raises:
            InputFormatError: A column that the file does not have, a line with another number of
                fields, or a value that is no finite number or beyond 3.4e38.
        """
        for name in (*text, *numbers):
            if name not in self.columns:
                raise InputFormatError(
                    f"{self.path}: no column {name!r}; it has {', '.join(self.columns[:12])}"
                )
        chunks = (
            [_parquet_columns(self.path, text, numbers)]
            if self._is_parquet
            else list(self._text_chunks(text, numbers))
        )
        columns = {
            name: np.concatenate([chunk[name] for chunk in chunks]) for name in (*text, *numbers)
        }
        for name in numbers:
            bad = np.flatnonzero(np.abs(columns[name]) > LARGEST)
            if bad.size:
                value = columns[name][bad[0]]
                found = "infinite" if np.isinf(value) else f"{value:g}, beyond 32-bit floats"
                raise InputFormatError(
                    f"{self.where(int(bad[0]))}: {name} is {found}; expected a finite number "
                    f"within {LARGEST:.2g}, or NA"
                )
        return columns

    def _text_columns(self) -> tuple[str, tuple[str, ...]]:
        """The separator and the names of the columns, from the first line."""
        with decompressed(self.path) as handle:
            first = handle.readline().removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
        try:
            line = first.decode()
        except UnicodeDecodeError as error:
            raise InputFormatError(f"{self.path}:1: not UTF-8 text; expected a table") from error
        if not line.strip():
            raise InputFormatError(f"{self.path}: is empty; expected a table")
        separator = "\t" if "\t" in line else "," if "," in line else _BLANKS
        fields = line.split() if separator == _BLANKS else line.split(separator)
        if self._header:
            return separator, tuple(field.strip() for field in fields)
        return separator, tuple(str(number) for number in range(1, len(fields) + 1))

    def _text_chunks(self, text: Sequence[str], numbers: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Columns of a few thousand lines at a time; one empty chunk for a file without rows."""
        done = 0
        for first, lines in self._checked_lines():
            yield self._parsed(first, lines, text, numbers)
            done += 1
        if not done:
            empty: dict[str, Any] = {name: np.empty(0, object) for name in text}
            yield empty | {name: np.empty(0) for name in numbers}

    def _checked_lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """Lines in chunks with the 1-based number of their first; all have the right fields."""
        separator = None if self._separator == _BLANKS else self._separator.encode()
        n_fields = len(self.columns)
        lines: list[bytes] = []
        blank = first = 0
        with decompressed(self.path) as handle:
            for number, line in enumerate(handle, 1):
                if number == 1 and self._header:
                    continue
                if line.isspace():
                    blank = blank or number
                    continue
                found = len(line.split()) if separator is None else line.count(separator) + 1
                if blank or found != n_fields:
                    fault = f"{found} fields; expected {n_fields} as in the first line"
                    raise InputFormatError(
                        f"{self.path}:{blank}: blank line; remove it"
                        if blank
                        else f"{self.path}:{number}: {fault}"
                    )
                first = first or number
                lines.append(line)
                if len(lines) == _LINES_PER_CHUNK:
                    yield first, lines
                    lines, first = [], 0
        if lines:
            yield first, lines

    def _parsed(
        self, first: int, lines: list[bytes], text: Sequence[str], numbers: Sequence[str]
    ) -> dict[str, Any]:
        import pandas as pd

        wanted = sorted({self.columns.index(name) for name in (*text, *numbers)})
        names = [self.columns[index] for index in wanted]
        content = b"".join(lines).removeprefix(b"\xef\xbb\xbf")
        numeric = [name for name in names if name in numbers and name not in text]
        try:
            frame = pd.read_csv(
                io.BytesIO(content),
                sep=self._separator,
                header=None,
                names=list(self.columns),
                usecols=wanted,
                index_col=False,
                dtype={name: np.float64 if name in numeric else str for name in names},
                keep_default_na=False,
                na_values={name: list(MISSING) for name in numeric},
                quoting=csv.QUOTE_NONE,
            )
        except UnicodeDecodeError as error:
            raise InputFormatError(
                f"{self.path}:{first}: not UTF-8 text here or below; expected a table"
            ) from error
        except ValueError as error:
            raise self._bad_number(first, lines, numeric) from error
        columns: dict[str, Any] = {name: frame[name].to_numpy(object) for name in text}
        return columns | {
            name: frame[name].to_numpy(np.float64)
            if name in numeric
            else _as_numbers(frame[name], name, f"{self.path}:{first}")
            for name in numbers
        }

    def _bad_number(self, first: int, lines: list[bytes], names: Sequence[str]) -> InputFormatError:
        """Finds the first value that is no number."""
        separator = None if self._separator == _BLANKS else self._separator
        for number, line in enumerate(lines, first):
            fields = line.decode(errors="replace").strip("\r\n").split(separator)
            for name in names:
                value = fields[self.columns.index(name)].strip()
                if value not in MISSING and _NUMBER.fullmatch(value) is None:
                    return InputFormatError(
                        f"{self.path}:{number}: {name} is {value[:40]!r}; expected a number or NA"
                    )
        return InputFormatError(
            f"{self.path}:{first}: a value here or below is no number; check {', '.join(names)}"
        )


def require_columns(table: FeatureTable, names: dict[str, str]) -> None:
    """Stops when a column was not found.

    Args:
        table: The table.
        names: What is needed to the column that has it, "" if none.

    Raises:
        InputFormatError: Something has no column.
    """
    missing = [need for need, column in names.items() if not column]
    if missing:
        raise InputFormatError(
            f"{table.path}: no column for {', '.join(missing)}; it has "
            f"{', '.join(table.columns[:12])}"
        )


def positions(table: FeatureTable, values: Column, name: str) -> npt.NDArray[np.int64]:
    """Positions as whole numbers from 1.

    Raises:
        InputFormatError: One is missing, below 1, or has a fraction.
    """
    with np.errstate(invalid="ignore"):
        good = (values >= 1) & (values == np.floor(values))
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise InputFormatError(
            f"{table.where(row)}: {name} is {values[row]:g}; expected a position from 1"
        )
    return values.astype(np.int64)


def _as_numbers(texts: Any, name: str, where: str) -> npt.NDArray[np.float64]:
    """Text, which is wanted as such too, as numbers."""
    values = [np.nan if text in MISSING else text for text in texts]
    try:
        return np.array(values, np.float64)
    except ValueError as error:
        raise InputFormatError(
            f"{where}: {name} here or below is no number; expected a number or NA"
        ) from error


def _parquet(path: Path) -> Any:
    """The open file.

    Raises:
        UsageError: pyarrow is not installed.
        InputFormatError: No parquet file.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"{path}: reading parquet files needs pyarrow: pip install 'tfgen[io]'"
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputFormatError(f"{path}: not a whole parquet file ({error})") from error


def _parquet_columns(path: Path, text: Sequence[str], numbers: Sequence[str]) -> dict[str, Any]:
    import pyarrow

    try:
        table = _parquet(path).read(columns=list(dict.fromkeys((*text, *numbers))))
        columns: dict[str, Any] = {}
        for name in text:
            values = table[name].to_pylist()
            columns[name] = np.array(["" if v is None else str(v) for v in values], object)
        for name in numbers:
            cast = table[name].cast(pyarrow.float64())
            columns[name] = cast.to_numpy(zero_copy_only=False).astype(np.float64)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputFormatError(
            f"{path}: {', '.join((*text, *numbers))} cannot be read ({str(error)[:120]})"
        ) from error
    return columns
