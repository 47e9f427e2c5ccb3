"""The unfinished part of a scoring run on disk: what a killed run leaves and the next goes on from.

`OUTPUT.partial/` holds `run.json`, which says what determines the result, and pieces: each an
.npz file with the rows start..stop of the variant file, published by rename under the name
`piece-START-STOP-CHECKSUM.npz`. A piece is used again only if it has its checksum and was made by
a run with the same `run.json`.
"""

import hashlib
import io
import json
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import Attributes
from tfgen.effects.selfcheck import SelfCheck
from tfgen.effects.shards import RowRange
from tfgen.errors import OutputError
from tfgen.io import publish, write_json

STORE_NAME = "scores.h5"
_RUN, _ROWS, _CHECKED, _DEVIATIONS = "run", "rows", "checked_rows", "deviations"
_N_EXAMPLES = 3
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Consecutive rows that are done.

    Attributes:
        rows: Which rows of the variant file.
        columns: The row columns of the store [rows], with `line`, `given_pos` and `detail` for
            the list of rejects, and statistics float32 [rows, tracks].
        check: The self-check of these rows.
    """

    rows: RowRange
    columns: dict[str, npt.NDArray[Any]]
    check: SelfCheck


class PartialRun:
    """The folder `OUTPUT.partial/` of one run.

    Args:
        output: The final file.
        attributes: Everything that determines the result.
        statistics: Names of the statistics, in order.
    """

    def __init__(self, output: Path, attributes: Attributes, statistics: Sequence[str]) -> None:
        self.folder = partial_folder(output)
        self.store = self.folder / STORE_NAME
        self._attributes = dict(attributes)
        self._statistics = tuple(statistics)
        self._paths: dict[RowRange, Path] = {}
        text = json.dumps(self._attributes, sort_keys=True)
        self._digest = np.bytes_(hashlib.sha256(text.encode()).hexdigest())

    def open(self, overwrite: bool) -> list[RowRange]:
        """Makes the folder, or takes up what a former run left in it.

        Args:
            overwrite: Discard the work of a run with other settings.

        Returns:
            The rows that are done, in order.

        Raises:
            OutputError: The folder belongs to a run with other settings, or cannot be written.
        """
        if (self.folder / "run.json").exists():
            differences = self._differences()
            if differences and not overwrite:
                raise OutputError(
                    f"{self.folder}: was begun with other settings ({'; '.join(differences)}); "
                    "use the former ones to go on, or pass --overwrite to start anew"
                )
            if not differences:
                return self._intact()
        try:
            self.remove()
            self.folder.mkdir()
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be made: {error.strerror}; remove it or choose another "
                "output"
            ) from error
        write_json(self.folder / "run.json", self._attributes)
        return []

    def save(self, piece: Piece) -> None:
        """Publishes a piece; after this a kill loses nothing of it.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        stream = io.BytesIO()
        arrays: dict[str, Any] = {
            **piece.columns,
            _RUN: self._digest,
            _ROWS: [piece.rows.start, piece.rows.stop],
            _CHECKED: piece.check.n_rows,
            _DEVIATIONS: [piece.check.max_abs.get(name, 0.0) for name in self._statistics],
        }
        np.savez(stream, **arrays)
        content = stream.getbuffer()
        final = self.folder / _piece_name(piece.rows, zlib.crc32(content))
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
        self._paths[piece.rows] = final

    def read(self, rows: RowRange, columns: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Some columns of one piece."""
        with np.load(self._paths[rows], allow_pickle=False) as arrays:
            return {column: arrays[column] for column in columns}

    def check(self, rows: RowRange) -> SelfCheck:
        """The self-check of one piece."""
        arrays = self.read(rows, (_CHECKED, _DEVIATIONS))
        deviations = arrays[_DEVIATIONS].tolist()
        return SelfCheck(
            int(arrays[_CHECKED]), dict(zip(self._statistics, deviations, strict=True))
        )

    def remove(self) -> None:
        """Removes the folder, `run.json` last, so that what remains after a kill is still known."""
        if not self.folder.exists():
            return
        for path in self.folder.iterdir():
            if path.name != "run.json":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / "run.json").unlink(missing_ok=True)
        self.folder.rmdir()

    def _differences(self) -> list[str]:
        """What differs between the run in the folder and this one."""
        try:
            found = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            names = sorted(found.keys() | self._attributes.keys())
        except (ValueError, AttributeError):
            return ["its run.json cannot be read"]
        lines = [
            f"{name} was {_short(found.get(name))}, now {_short(self._attributes.get(name))}"
            for name in names
            if found.get(name) != self._attributes.get(name)
        ]
        more = [f"and {len(lines) - _N_EXAMPLES} more"] if len(lines) > _N_EXAMPLES else []
        return lines[:_N_EXAMPLES] + more

    def _intact(self) -> list[RowRange]:
        """The rows of every whole piece; the rest of the folder is removed."""
        found: list[RowRange] = []
        for path in sorted(self.folder.iterdir()):
            if path.name == "run.json":
                continue
            rows = self._intact_rows(path)
            if rows is None or (found and rows.start < found[-1].stop):
                path.unlink()
            else:
                found.append(rows)
                self._paths[rows] = path
        return found

    def _intact_rows(self, path: Path) -> RowRange | None:
        """The rows of a piece of this run, or None for anything else."""
        checksum = 0
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                checksum = zlib.crc32(block, checksum)
        if not path.name.endswith(f"-{checksum:08x}.npz"):
            return None
        with np.load(path, allow_pickle=False) as arrays:
            start, stop = (int(value) for value in arrays[_ROWS])
            same_run = arrays[_RUN] == self._digest
        rows = RowRange(start, stop)
        return rows if same_run and path.name == _piece_name(rows, checksum) else None


class PieceRows:
    """The pieces of a run as the rows of its store.

    Args:
        run: The folder.
        rows: The rows of the store.
        pieces: The rows of every piece, in order; together they are `rows`.
    """

    def __init__(self, run: PartialRun, rows: RowRange, pieces: Sequence[RowRange]) -> None:
        self._run = run
        self._rows = rows
        self._pieces = pieces
        self._starts = np.array([piece.start for piece in pieces], np.int64)

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """Columns of the rows start..stop of the store (see `tfgen.effects.writer.RowSource`)."""
        first, last = self._rows.start + start, self._rows.start + stop
        parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in columns}
        index = int(np.searchsorted(self._starts, first, side="right")) - 1
        while index < len(self._pieces) and self._pieces[index].start < last:
            piece = self._pieces[index]
            inside = slice(max(first, piece.start) - piece.start, last - piece.start)
            for column, values in self._run.read(piece, columns).items():
                parts[column].append(values[inside])
            index += 1
        return {column: np.concatenate(values) for column, values in parts.items()}


def partial_folder(output: Path) -> Path:
    """Where the unfinished part of an output lies."""
    return output.with_name(output.name + ".partial")


def missing_rows(rows: RowRange, done: Sequence[RowRange]) -> list[RowRange]:
    """The stretches of `rows` that are not yet done; `done` is in order."""
    edges = [rows.start, *(edge for piece in done for edge in (piece.start, piece.stop)), rows.stop]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [RowRange(start, stop) for start, stop in gaps if start < stop]


def cut(ranges: Iterable[RowRange], rows_per_piece: int) -> Iterator[RowRange]:
    """Divides rows into pieces.

    Pieces end at multiples of `rows_per_piece`, counted from the start of the variant file, so
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


def text_array(values: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Text as fixed-length UTF-8 bytes, as wide as the longest value."""
    return np.array([value.encode() for value in values], np.bytes_)


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 20 else f"{text[:12]}..."  # noqa: PLR2004
