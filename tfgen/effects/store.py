"""Reads score stores: ours, those of calico/basenji, and the published Enformer scores."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from tfgen.effects.schema import FORMAT_VERSION, ROW_COLUMNS, TEXT_COLUMNS, AttributeValue
from tfgen.errors import InputFormatError, UnsupportedInputError
from tfgen.genome import Status
from tfgen.io.hdf5 import damage_reported, open_hdf5, safe_dataset

SPELLINGS = MappingProxyType({"ref": "ref_allele", "alt": "alt_allele"})
"""Column names in other writers' files and what they are called here."""

TEXT_DATASETS = (*TEXT_COLUMNS, "status", "target_ids", "target_labels")
MATRIX = 2


class ScoreStore:
    """An open score store; a context manager.

    Rows and tracks are read in slices, so that a store may be larger than the memory. What other
    writers leave out is filled in: without a `status` column every row counts as `OK`.

    Attributes:
        path: The file.
        attributes: Its attributes; empty in files of other writers.
        columns: Names of the row columns that it has, in our spelling and order.
        statistics: Names of its score matrices, float32 or float16 [rows, tracks].
        target_ids: Identifier of each track.
        target_labels: Description of each track.

    Raises:
        InputFormatError: No score store, damaged, or with links that lead out of the file.
        UnsupportedInputError: Written in a format of another major version.
        FileNotFoundError: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_hdf5(path, "a score store that was written to its end")
        try:
            with damage_reported(path):
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        self.attributes: Mapping[str, AttributeValue] = _attributes(self._file)
        self._check_version()
        self._datasets = self._find_datasets()
        self.columns = tuple(name for name in ROW_COLUMNS if name in self._datasets)
        self.statistics = self._find_statistics()
        self.n_rows, self.n_tracks = self._shape()
        self.target_ids = self._targets("target_ids")
        self.target_labels = self._targets("target_labels")

    def __enter__(self) -> Self:
        """Returns the open store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._file.close()

    def column(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """One row column, 0-based rows start..stop (all by default).

        Args:
            name: One of `ROW_COLUMNS`; text columns come as UTF-8 bytes.
            start: First row.
            stop: Row behind the last.

        Raises:
            InputFormatError: The store has no such column.
        """
        stop = self.n_rows if stop is None else stop
        if name == "status" and name not in self._datasets:
            return np.full(stop - start, Status.OK.value.encode())
        return self._read(self._dataset(name), slice(start, stop))

    def scores(
        self, statistic: str, rows: slice = slice(None), tracks: slice = slice(None)
    ) -> npt.NDArray[Any]:
        """Scores [rows, tracks] of a statistic, in the type of the file.

        Raises:
            InputFormatError: The store has no such statistic.
        """
        if statistic not in self.statistics:
            raise InputFormatError(
                f"{self.path}: no statistic {statistic!r}; it has {', '.join(self.statistics)}"
            )
        return self._read(self._datasets[statistic], (rows, tracks))

    def percentiles(self, statistic: str) -> npt.NDArray[Any]:
        """Percentiles [tracks, 279] of a statistic, as stored.

        Raises:
            InputFormatError: The store has none.
        """
        return self._read(self._dataset(f"{statistic}_pct"), slice(None))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a row column or statistic.

        Raises:
            InputFormatError: The store has no such dataset.
        """
        dtype: np.dtype[Any] = self._dataset(name).dtype
        return dtype

    def _dataset(self, name: str) -> h5py.Dataset:
        if name not in self._datasets:
            raise InputFormatError(
                f"{self.path}: no dataset {name!r}; it has {', '.join(sorted(self._datasets))}"
            )
        return self._datasets[name]

    def _read(self, dataset: h5py.Dataset, selection: Any) -> npt.NDArray[Any]:
        with damage_reported(self.path):
            return np.asarray(dataset[selection])

    def _check_version(self) -> None:
        version = str(self.attributes.get("format_version", FORMAT_VERSION))
        if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise UnsupportedInputError(
                f"{self.path}: format version {version}, but this tfgen reads {FORMAT_VERSION}; "
                "use the tfgen that wrote it"
            )

    def _find_datasets(self) -> dict[str, h5py.Dataset]:
        """Every dataset at the top level, under our spelling of its name."""
        found = {}
        for name in self._file:
            dataset = safe_dataset(self._file, name)
            if dataset is not None:
                found[SPELLINGS.get(name, name)] = dataset
        return found

    def _find_statistics(self) -> tuple[str, ...]:
        """Names of the score matrices: as the attributes order them, else by name."""
        n_rows = self._dataset("pos").shape[:1]
        matrices = [
            name
            for name, dataset in self._datasets.items()
            if dataset.ndim == MATRIX
            and dataset.shape[:1] == n_rows
            and dataset.dtype.kind == "f"
            and not name.endswith("_pct")
        ]
        if not matrices:
            raise InputFormatError(
                f"{self.path}: no scores; expected a matrix [rows, tracks] such as 'SAD'"
            )
        order = str(self.attributes.get("statistics", "")).split(",")
        return tuple(sorted(matrices, key=lambda name: (name not in order, _place(order, name))))

    def _shape(self) -> tuple[int, int]:
        """Rows and tracks, the same in every column and statistic."""
        n_rows, n_tracks = self._datasets[self.statistics[0]].shape
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(self.statistics, (n_rows, n_tracks))
        expected |= dict.fromkeys(self.columns, (n_rows,))
        expected |= dict.fromkeys(("target_ids", "target_labels"), (n_tracks,))
        for name, shape in expected.items():
            dataset = self._dataset(name)
            if dataset.shape != shape:
                raise InputFormatError(
                    f"{self.path}: {name!r} has shape {dataset.shape}; expected {shape}"
                )
            if name in TEXT_DATASETS and dataset.dtype.kind != "S":
                raise InputFormatError(
                    f"{self.path}: {name!r} has type {dataset.dtype}; expected fixed-length text"
                )
        return n_rows, n_tracks

    def _targets(self, name: str) -> tuple[str, ...]:
        values = self._read(self._dataset(name), slice(None))
        return tuple(value.decode(errors="backslashreplace") for value in values)


def _attributes(file: h5py.File) -> dict[str, AttributeValue]:
    """The single-valued attributes as plain Python values; others are of no use here."""
    found: dict[str, AttributeValue] = {}
    for name, value in file.attrs.items():
        if isinstance(value, bytes):
            found[name] = value.decode(errors="backslashreplace")
        elif isinstance(value, str):
            found[name] = value
        elif isinstance(value, np.number | np.bool_):
            found[name] = value.item()
    return found


def _place(order: list[str], name: str) -> tuple[int, str]:
    return (order.index(name) if name in order else 0, name)
