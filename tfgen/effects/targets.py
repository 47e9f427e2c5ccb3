"""Targets tables: which output tracks of a model to keep, and what they are called.

The table of calico/basenji: a TSV with the columns `index` (0-based output of the model head),
`identifier` and `description`; others (genome, file, clip, scale, sum_stat) may be there and are
not needed to score. Without an `index` column the rows are the outputs in order.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.io import read_table

_T = TypeVar("_T")

FIRST_MOUSE_INDEX, MOUSE_TRACKS = 5313, 1643
"""Where the published table of mouse tracks starts to count, and how many there are."""


@dataclass(frozen=True)
class TargetTable:
    """A selection of output tracks.

    Attributes:
        path: File that it was read from, for messages.
        indices: 0-based output of the model head for each row.
        identifiers: Identifier of each track.
        descriptions: Description of each track.
        warnings: What the user should know about the table.
    """

    path: Path
    indices: tuple[int, ...]
    identifiers: tuple[str, ...]
    descriptions: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.indices)

    def for_head(self, n_outputs: int, head: str) -> "TargetTable":
        """The table with indices that count the outputs of one model head from 0.

        The published table of the mouse tracks goes on counting where the human ones end (5,313);
        that is subtracted.

        Args:
            n_outputs: Outputs of the head.
            head: Its name, for the message.

        Raises:
            InputMismatchError: An index is not that of an output of the head.
        """
        if n_outputs == MOUSE_TRACKS and min(self.indices) >= FIRST_MOUSE_INDEX:
            shifted = tuple(index - FIRST_MOUSE_INDEX for index in self.indices)
            return dataclasses.replace(self, indices=shifted).for_head(n_outputs, head)
        for row, index in enumerate(self.indices):
            if index >= n_outputs:
                raise InputMismatchError(
                    f"{self.path}: track {self.identifiers[row]!r} has index {index}, but the "
                    f"head {head!r} has {n_outputs} outputs (0 to {n_outputs - 1}); "
                    "use the targets table of this model or another --organism"
                )
        return self


def read_targets(path: Path) -> TargetTable:
    """Reads a targets table.

    Raises:
        InputFormatError: No column `identifier` or `description`, no rows, an identifier that is
            repeated, or an index that is no whole number, is negative or is repeated.
        OSError: The file cannot be read.
    """
    columns = read_table(path, required=("identifier", "description"))
    identifiers = columns["identifier"]
    if not identifiers:
        raise InputFormatError(f"{path}: no tracks; expected a row for each track to score")
    lines: dict[str, int] = {}
    for line, identifier in enumerate(identifiers, start=2):
        if identifier in lines:
            raise InputFormatError(
                f"{path}:{line}: identifier {identifier!r} stands in line {lines[identifier]} as "
                "well; name each track once"
            )
        lines[identifier] = line
    warnings: tuple[str, ...] = ()
    if "index" in columns:
        indices = tuple(_indices(path, columns["index"]))
    else:
        indices = tuple(range(len(identifiers)))
        warnings = (
            f"{path}: no column 'index'; its {len(indices)} rows are taken as outputs 0 to "
            f"{len(indices) - 1} of the model head",
        )
    return TargetTable(path, indices, tuple(identifiers), tuple(columns["description"]), warnings)


def _indices(path: Path, texts: Iterable[str]) -> Iterable[int]:
    """The column `index` as numbers; the line numbers in messages count the header."""
    lines: dict[int, int] = {}
    for line, text in enumerate(texts, start=2):
        if not (text.isascii() and text.isdecimal()):
            raise InputFormatError(f"{path}:{line}: index {text!r}; expected a whole number from 0")
        index = int(text)
        if index in lines:
            raise InputFormatError(
                f"{path}:{line}: index {index} stands in line {lines[index]} as well; "
                "name each output once"
            )
        lines[index] = line
        yield index
