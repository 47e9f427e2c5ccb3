"""The unfinished part of a long run on disk: what a killed run leaves and the next goes on from.

`OUTPUT.partial/` holds `run.json`, which says what determines the result, and pieces: each an
.npz file with the rows start..stop of the output, published by rename under the name
`piece-START-STOP-CHECKSUM.npz`. A piece is used again only if it has its checksum and was made by
a run with the same `run.json`.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import OutputError
from tfgen.io.atomic import publish
from tfgen.io.npz import pack_arrays, read_arrays, read_entries
from tfgen.io.shards import RowRange
from tfgen.io.work import RUN_JSON, WorkFolder, discard

_RUN, _ROWS = "run", "rows"
_BLOCK_BYTES = 1 << 20


class PartialRun(WorkFolder):
    """The folder `OUTPUT.partial/` of a run that makes pieces.

    Args:
        output: The final file or directory.
        attributes: Everything that determines the result, in the types of JSON.

    Attributes:
        folder: The folder. What a run puts there beside the pieces is gone at the next `open`.
    """

    def __init__(self, output: Path, attributes: Mapping[str, object]) -> None:
        super().__init__(output, attributes)
        self._paths: dict[RowRange, Path] = {}
        self._digest = np.bytes_(hashlib.sha256(self.text.encode()).hexdigest())

    def open(self, overwrite: bool) -> list[RowRange]:
        """Makes the folder, or takes up what a former run left in it.

        Args:
            overwrite: Discard the work of a run with other settings.

        Returns:
            The rows that are done, in order.

        Raises:
            OutputError: The folder belongs to a run with other settings, or cannot be written.
        """
        return self._intact() if self.take_up(overwrite) else []

    def save(self, rows: RowRange, arrays: Mapping[str, npt.ArrayLike]) -> None:
        """Publishes a piece; after this a kill loses nothing of it.

        Args:
            rows: The rows that the piece holds.
            arrays: Its arrays by name. Those that `PieceRows` shall read have one entry per row
                [rows, ...]; others may have any shape.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
            ValueError: An array is called `run` or `rows`, or holds Python objects.
        """
        own: dict[str, Any] = {_RUN: self._digest, _ROWS: np.array([rows.start, rows.stop])}
        taken = sorted(own.keys() & arrays.keys())
        if taken:
            raise ValueError(f"an array of a piece cannot be called {taken[0]!r}")
        content = pack_arrays({**arrays, **own})
        final = self.folder / _piece_name(rows, zlib.crc32(content))
        partial = final.with_suffix(".tmp")
        try:
            partial.write_bytes(content)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise OutputError(
                f"{partial}: cannot be written: {error.strerror}; free some space and run the "
                "same command again"
            ) from error
        publish(partial, final)
        self._paths[rows] = final

    def read(self, rows: RowRange, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Some arrays of one piece, whole.

        Args:
            rows: The rows of the piece, as `open` or `save` know it.
            names: Names of arrays.

        Raises:
            KeyError: There is no such piece, or it has no such array.
        """
        return read_arrays(self._paths[rows], names)

    def read_part(
        self, rows: RowRange, names: Iterable[str], start: int, stop: int
    ) -> dict[str, npt.NDArray[Any]]:
        """Entries start..stop, counted within the piece, of arrays with one entry per row.

        Nothing else of the piece is brought into the memory.

        Raises:
            KeyError: There is no such piece, or it has no such array.
            ValueError: An array has fewer entries.
        """
        return read_entries(self._paths[rows], names, start, stop)

    def _intact(self) -> list[RowRange]:
        """The rows of every whole piece; the rest of the folder is removed."""
        found: list[RowRange] = []
        for path in sorted(self.folder.iterdir()):
            if path.name == RUN_JSON:
                continue
            rows = self._intact_rows(path)
            if rows is None or (found and rows.start < found[-1].stop):
                discard(path)
            else:
                found.append(rows)
                self._paths[rows] = path
        return found

    def _intact_rows(self, path: Path) -> RowRange | None:
        """The rows of a piece of this run, or None for anything else."""
        if not path.is_file():
            return None
        checksum = 0
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                checksum = zlib.crc32(block, checksum)
        if not path.name.endswith(f"-{checksum:08x}.npz"):
            return None
        arrays = read_arrays(path, (_RUN, _ROWS))
        rows = RowRange(*arrays[_ROWS].tolist())
        same_run = arrays[_RUN] == self._digest
        return rows if same_run and path.name == _piece_name(rows, checksum) else None


class PieceRows:
    """The pieces of a run as one sequence of rows.

    Args:
        run: The folder.
        rows: The rows of the output.
        pieces: The rows of every piece, in order; together they are `rows`.
    """

    def __init__(self, run: PartialRun, rows: RowRange, pieces: Sequence[RowRange]) -> None:
        self._run = run
        self._rows = rows
        self._pieces = pieces
        self._starts = np.array([piece.start for piece in pieces], np.int64)

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """Columns of the rows start..stop, counted from the first row of the run.

        The memory that this takes grows with the result, not with the size of the pieces.

        Args:
            columns: Names of arrays with one entry per row.
            start: First row.
            stop: Row behind the last.

        Returns:
            Column name to its values [stop - start, ...]; text is as wide as its widest piece.

        Raises:
            ValueError: No rows, or rows that the run does not have.
            KeyError: A piece has no such column.
        """
        if not 0 <= start < stop <= len(self._rows):
            raise ValueError(f"rows {start}:{stop} of {len(self._rows)}; expected at least one")
        first, last = self._rows.start + start, self._rows.start + stop
        parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in columns}
        index = int(np.searchsorted(self._starts, first, side="right")) - 1
        while index < len(self._pieces) and self._pieces[index].start < last:
            piece = self._pieces[index]
            begin = max(first, piece.start) - piece.start
            end = min(last, piece.stop) - piece.start
            for column, values in self._run.read_part(piece, columns, begin, end).items():
                parts[column].append(values)
            index += 1
        return {column: np.concatenate(values) for column, values in parts.items()}


def missing_rows(rows: RowRange, done: Sequence[RowRange]) -> list[RowRange]:
    """The stretches of `rows` that are not yet done; `done` is in order."""
    edges = [rows.start, *(edge for piece in done for edge in (piece.start, piece.stop)), rows.stop]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [RowRange(start, stop) for start, stop in gaps if start < stop]


def cut(ranges: Iterable[RowRange], rows_per_piece: int) -> Iterator[RowRange]:
    """Divides rows into pieces.

    Pieces end at multiples of `rows_per_piece`, counted from the start of the whole input, so
    that runs over different ranges put the same rows together.
    """
    for rows in ranges:
        start = rows.start
        while start < rows.stop:
            stop = min(rows.stop, (start // rows_per_piece + 1) * rows_per_piece)
            yield RowRange(start, stop)
            start = stop


def _piece_name(rows: RowRange, checksum: int) -> str:
    return f"piece-{rows.start:010d}-{rows.stop:010d}-{checksum:08x}.npz"
