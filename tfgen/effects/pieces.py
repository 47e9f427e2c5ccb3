"""Scored rows as the pieces of a run that can be killed (see `tfgen.io.pieces`)."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import Attributes
from tfgen.effects.selfcheck import SelfCheck, combine
from tfgen.io.pieces import PartialRun
from tfgen.io.shards import RowRange

STORE_NAME = "scores.h5"
LONGEST_LOSS_S = 30.0
"""A piece is saved when it has been open for so many seconds."""

_CHECKED, _DEVIATIONS = "checked_rows", "deviations"


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


class PartialScores(PartialRun):
    """The folder `OUTPUT.partial/` of one scoring run.

    Args:
        output: The score store.
        attributes: Everything that determines the scores.
        statistics: Names of the statistics, in order.

    Attributes:
        store: Where the store is written before it is published.
    """

    def __init__(self, output: Path, attributes: Attributes, statistics: Sequence[str]) -> None:
        super().__init__(output, attributes)
        self.store = self.folder / STORE_NAME
        self._statistics = tuple(statistics)

    def save_piece(self, piece: Piece) -> None:
        """Publishes a piece; after this a kill loses nothing of it.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        deviations = [piece.check.max_abs.get(name, 0.0) for name in self._statistics]
        self.save(
            piece.rows,
            {**piece.columns, _CHECKED: piece.check.n_rows, _DEVIATIONS: deviations},
        )

    def check(self, rows: RowRange) -> SelfCheck:
        """The self-check of one piece."""
        arrays = self.read(rows, (_CHECKED, _DEVIATIONS))
        deviations = arrays[_DEVIATIONS].tolist()
        return SelfCheck(
            int(arrays[_CHECKED]), dict(zip(self._statistics, deviations, strict=True))
        )


class PieceSaver:
    """Collects scored steps and saves them in pieces; a context manager that saves the rest.

    A piece ends at a multiple of `rows_per_piece`, where rows are missing, and when it has been
    open for so long that more of it should not be lost to a kill.

    Args:
        run: Where pieces are saved.
        rows_per_piece: Most rows of a piece.
        clock: Gives seconds.

    Attributes:
        saved: Rows of the pieces that were saved, in order.
    """

    def __init__(
        self,
        run: PartialScores,
        rows_per_piece: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._rows_per_piece = rows_per_piece
        self._clock = clock
        self._saved_at = clock()
        self._open: list[Piece] = []
        self.saved: list[RowRange] = []

    def __enter__(self) -> Self:
        """Returns the saver."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Saves what is open, also when the run was cut short."""
        self._flush()

    def add(self, step: Piece) -> None:
        """Takes the next rows, and saves what makes a piece."""
        if self._open and self._open[-1].rows.stop != step.rows.start:
            self._flush()
        self._open.append(step)
        is_full = step.rows.stop % self._rows_per_piece == 0
        if is_full or self._clock() - self._saved_at >= LONGEST_LOSS_S:
            self._flush()

    def _flush(self) -> None:
        self._saved_at = self._clock()
        steps, self._open = self._open, []
        if steps:
            piece = _joined(steps)
            self._run.save_piece(piece)
            self.saved.append(piece.rows)


def _joined(steps: Sequence[Piece]) -> Piece:
    """Consecutive pieces as one."""
    rows = RowRange(steps[0].rows.start, steps[-1].rows.stop)
    columns = {
        name: np.concatenate([step.columns[name] for step in steps]) for name in steps[0].columns
    }
    statistics = sorted({name for step in steps for name in step.check.max_abs})
    return Piece(rows, columns, combine([step.check for step in steps], statistics))


def text_array(values: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Text as fixed-length UTF-8 bytes, as wide as the longest value."""
    return np.array([value.encode() for value in values], np.bytes_)
