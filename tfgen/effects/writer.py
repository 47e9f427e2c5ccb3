"""Writes a score store in one deterministic pass: same rows, same bytes.

Blocks of rows are written in a fixed order into chunked datasets, nothing carries a
time stamp, and percentiles are computed from what is in the file. So a store does not depend on
where its rows came from: one run, a resumed run, or shards that are merged.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from tfgen.effects.percentiles import track_percentiles
from tfgen.effects.schema import (
    PERCENTILES,
    ROW_COLUMNS,
    StoreSchema,
    definitions,
    stored_scores,
)
from tfgen.io.hdf5 import create_hdf5

# Text and flags shrink well. Scores do not (by an eighth, at a twentieth of the speed).
COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


class RowSource(Protocol):
    """Where the rows of a store come from."""

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """Row columns [rows] and statistics [rows, tracks] of the rows start..stop of the file."""
        ...


def write_store(
    path: Path, schema: StoreSchema, source: RowSource, between_blocks: Callable[[], None]
) -> None:
    """Writes a store.

    Args:
        path: A new file; the caller publishes it under its final name.
        schema: Shape, names and attributes.
        source: The rows. Text may be of any width up to that of the schema, scores are float32
            (or already of the type of the store).
        between_blocks: Called after every block of rows; may raise to stop.

    Raises:
        OutputError: The file cannot be written.
    """
    with create_hdf5(path) as (file, check):

        def after_block() -> None:
            check()
            between_blocks()

        for name, value in sorted(schema.attributes.items()):
            file.attrs[name] = value
        for rows, columns in _by_block_rows(schema, ROW_COLUMNS).items():
            _write_rows(file, schema, source, columns, rows, after_block)
        file.create_dataset("target_ids", data=_texts(schema.target_ids))
        file.create_dataset("target_labels", data=_texts(schema.target_labels))
        for name, definition in definitions(schema.statistics).items():
            _write_rows(file, schema, source, (name,), schema.block_rows(name), after_block)
            file[name].attrs["definition"] = definition
        _write_percentiles(file, schema, after_block)


def _by_block_rows(schema: StoreSchema, columns: Sequence[str]) -> dict[int, list[str]]:
    """Columns that are written in the same steps, so that wide text is not held by the thousand."""
    groups: dict[int, list[str]] = {}
    for column in columns:
        groups.setdefault(schema.block_rows(column), []).append(column)
    return groups


def _write_rows(
    file: h5py.File,
    schema: StoreSchema,
    source: RowSource,
    columns: Sequence[str],
    block_rows: int,
    after_block: Callable[[], None],
) -> None:
    """Writes some row columns or statistics, one block of rows at a time."""
    for column in columns:
        _create(file, schema, column)
    for start in range(0, schema.n_rows, max(1, block_rows)):
        stop = min(start + block_rows, schema.n_rows)
        values = source.read(columns, start, stop)
        for column in columns:
            block = values[column]
            if column in schema.statistics:
                block = stored_scores(block, schema.float16)
            file[column][start:stop] = block.astype(schema.dtype(column), copy=False)
        after_block()


def _create(file: h5py.File, schema: StoreSchema, column: str) -> None:
    """Makes an empty dataset; scores are NaN until they are written."""
    dtype, chunks = schema.dtype(column), schema.chunks(column)
    if column in schema.statistics:
        shape = (schema.n_rows, schema.n_tracks)
        file.create_dataset(column, shape, dtype, chunks=chunks, fillvalue=np.nan)
    else:
        options = COMPRESSION if chunks else {}
        file.create_dataset(column, (schema.n_rows,), dtype, chunks=chunks, **options)


def _write_percentiles(
    file: h5py.File, schema: StoreSchema, after_block: Callable[[], None]
) -> None:
    file.create_dataset("percentiles", data=PERCENTILES)
    for name in schema.statistics:
        scores = file[name]

        def read(start: int, stop: int, scores: Any = scores) -> npt.NDArray[np.floating]:
            after_block()
            return np.asarray(scores[:, start:stop])

        values = track_percentiles(read, schema.n_rows, schema.n_tracks)
        file.create_dataset(f"{name}_pct", data=values)


def _texts(values: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Text as fixed-length UTF-8 bytes."""
    return np.array([value.encode() for value in values], dtype=np.bytes_)
