"""The log of a training run: a CSV file that survives kills and resumes."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError
from tfgen.io import write_text

_COLUMNS = ("step", "learning_rate", "loss", "gradient_norm", "validation_r")


class TrainingLog:
    """One row per interval: step, rate, mean loss, mean gradient norm, validation r.

    `validation_r` is the mean over the tracks; a column `validation_r_TRACK` follows for each
    track. Cells of rows without validation, and of constant tracks, are empty.

    Args:
        path: The CSV file; made if it is missing.
        tracks: Name of every track.
        last_step: Rows of later steps are removed: a resumed run writes them again.

    Raises:
        InputFormatError: The file is the log of another run.
    """

    def __init__(self, path: Path, tracks: Sequence[str], last_step: int) -> None:
        self._path = path
        self._header = [*_COLUMNS, *(f"validation_r_{track}" for track in tracks)]
        self._rows = [row for row in self._read() if int(row[0]) <= last_step]
        self._write()

    def add(
        self,
        step: int,
        learning_rate: float,
        loss: float,
        gradient_norm: float,
        validation_r: npt.NDArray[np.float64] | None,
    ) -> None:
        """Adds a row and brings it to the disk.

        Args:
            step: Updates made so far.
            learning_rate: Of the last of them.
            loss: Mean since the last row.
            gradient_norm: Mean since the last row, before clipping.
            validation_r: Pearson r per track, or None if it was not computed.
        """
        cells = [f"{value:.6g}" for value in (learning_rate, loss, gradient_norm)]
        n_tracks = len(self._header) - len(_COLUMNS)
        r = np.full(n_tracks, np.nan) if validation_r is None else validation_r
        known = r[~np.isnan(r)]
        mean = float(known.mean()) if len(known) else float("nan")
        self._rows.append([str(step), *cells, *map(_cell, (mean, *r))])
        self._write()

    def _read(self) -> list[list[str]]:
        if not self._path.exists():
            return []
        with self._path.open(encoding="utf-8", newline="") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
        if header != self._header or any(not row or not row[0].isdecimal() for row in rows):
            raise InputFormatError(
                f"{self._path}: is not the log of this run; expected the columns "
                f"{', '.join(self._header)}; move it away"
            )
        return rows

    def _write(self) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self._header, *self._rows])
        write_text(self._path, text.getvalue())


def read_training_log(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Reads a log as one float64 column per name; empty cells are NaN.

    Raises:
        InputFormatError: The file is no such log.
        OSError: The file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = list(csv.reader(stream)) or [[]]
    if tuple(header[: len(_COLUMNS)]) != _COLUMNS or any(len(r) != len(header) for r in rows):
        raise InputFormatError(f"{path}: expected a log with the columns {', '.join(_COLUMNS)}")
    try:
        table = np.array([[float(cell or "nan") for cell in row] for row in rows], np.float64)
    except ValueError as error:
        raise InputFormatError(f"{path}: {error}; expected numbers") from None
    return dict(zip(header, table.reshape(len(rows), len(header)).T, strict=True))


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.5f}"
