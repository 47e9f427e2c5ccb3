"""Writes a score store as a text table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import TEXT_COLUMNS
from tfgen.effects.store import ScoreStore
from tfgen.errors import OutputError, UsageError
from tfgen.io import OutputLock, publish, refuse_overlap

BLOCK_VALUES = 1 << 20
"""Scores held as text at a time, roughly."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_BREAKS = str.maketrans({"\t": " ", "\n": " ", "\r": " "})


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to write; each field is a flag.

    Raises:
        UsageError: A value has no meaning.
    """

    scores: Path = field(metadata={"help": "Score store to read (HDF5)."})
    output: Path = field(
        metadata={"help": "Table to write (TSV); compressed with bgzip if it ends in .gz."}
    )
    statistics: tuple[str, ...] = field(
        default=(), metadata={"help": "Statistics to write; all by default."}
    )
    tracks: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Tracks to write: identifiers, or columns of the store counted from 0; all "
            "by default."
        },
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace an existing output."})


def export_scores(config: ExportConfig) -> int:
    """Writes the rows of a store as TSV.

    The header names the row columns and then `STATISTIC:COLUMN:IDENTIFIER` for every score, where
    COLUMN is the track's column in the store: identifiers alone need not be unique. Missing
    scores are `NA`. A text that a spreadsheet would take for a formula gets a leading apostrophe.

    Returns:
        Number of rows.

    Raises:
        UsageError: A statistic or track is not in the store or named twice, an identifier is not
            unique, or the output is the input.
        InputFormatError: `scores` is no score store.
        OutputError: The output exists or cannot be written.
    """
    refuse_overlap(config.output, [config.scores])
    with ScoreStore(config.scores) as store, OutputLock(config.output):
        if config.output.exists() and not config.overwrite:
            raise OutputError(f"{config.output}: exists; choose another output or pass --overwrite")
        statistics = _chosen_statistics(store, config.statistics)
        tracks = _chosen_tracks(store, config.tracks)
        columns = _row_columns(store)
        with _new_table(config.output) as write:
            names = [
                f"{statistic}:{track}:{_cell(store.target_ids[track])}"
                for statistic in statistics
                for track in tracks
            ]
            write("\t".join([*columns, *names]) + "\n")
            text_bytes = sum(
                store.dtype(name).itemsize for name in columns if name in store.columns
            )
            step = max(1, BLOCK_VALUES // max(1, len(names) + text_bytes))
            for start in range(0, store.n_rows, step):
                stop = min(start + step, store.n_rows)
                cells = [_texts(name, store.column(name, start, stop)) for name in columns]
                for statistic in statistics:
                    scores = store.scores(statistic, slice(start, stop))[:, tracks]
                    cells += list(_numbers(scores).T)
                write("".join("\t".join(row) + "\n" for row in zip(*cells, strict=True)))
        return store.n_rows


def _row_columns(store: ScoreStore) -> list[str]:
    """The row columns of the table: those of the store, and always a status."""
    first = ("chr", "pos", "snp", "ref_allele", "alt_allele")
    columns = [name for name in first if name in store.columns]
    columns.append("status")
    return columns + [name for name in store.columns if name not in columns]


def _chosen_statistics(store: ScoreStore, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in store.statistics:
            raise UsageError(
                f"{store.path}: no statistic {name!r}; it has {', '.join(store.statistics)}"
            )
    _require_distinct(names)
    return tuple(names) or store.statistics


def _chosen_tracks(store: ScoreStore, names: Sequence[str]) -> list[int]:
    """Columns of the store for identifiers or column numbers."""
    if not names:
        return list(range(store.n_tracks))
    tracks = []
    for name in names:
        count = store.target_ids.count(name)
        if count > 1:
            raise UsageError(
                f"{store.path}: {count} tracks have the identifier {name!r}; "
                "choose them by their column, counted from 0"
            )
        if count == 1:
            tracks.append(store.target_ids.index(name))
        elif name.isascii() and name.isdecimal() and int(name) < store.n_tracks:
            tracks.append(int(name))
        else:
            raise UsageError(
                f"{store.path}: no track {name!r}; give an identifier or a column from 0 to "
                f"{store.n_tracks - 1}"
            )
    _require_distinct([str(track) for track in tracks])
    return tracks


def _require_distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is asked for twice; name each statistic and track once")


def _texts(name: str, values: npt.NDArray[Any]) -> list[str]:
    """A row column as text."""
    if values.dtype.kind == "f":
        return list(_numbers(values))
    if values.dtype.kind == "b":
        values = values.astype(np.int8)
    if values.dtype.kind != "S":
        return [str(value) for value in values.tolist()]
    texts = [value.decode(errors="backslashreplace") for value in values.tolist()]
    return [_cell(text) for text in texts] if name in TEXT_COLUMNS else texts


def _cell(text: str) -> str:
    """A text that neither breaks the table nor runs in a spreadsheet."""
    return (
        f"'{text.translate(_BREAKS)}"
        if text.startswith(_FORMULA_STARTS)
        else (text.translate(_BREAKS))
    )


def _numbers(values: npt.NDArray[np.floating]) -> npt.NDArray[np.str_]:
    """Numbers with as many digits as tell them apart in their type; NA for NaN."""
    return np.where(np.isnan(values), "NA", values.astype(np.str_))


@contextmanager
def _new_table(path: Path) -> Iterator[Callable[[str], object]]:
    """Opens a text file, bgzip if it ends in .gz, that appears only when it is complete."""
    import pysam

    partial = path.with_name(path.name + ".partial")
    try:
        if path.suffix == ".gz":
            with pysam.BGZFile(str(partial), "w") as stream:
                yield lambda text: stream.write(text.encode())
        else:
            with partial.open("w", encoding="utf-8", newline="") as stream:
                yield stream.write
        publish(partial, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; free some space there"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
