"""HDF5 files that are safe to write on a full disk and safe to read from a stranger."""

import errno
import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from tfgen.errors import InputFormatError, OutputError, TfgenError
from tfgen.io import format_bytes
from tfgen.io.space import free_bytes

# The oldest file format, which every HDF5 library since 1.8 reads; never a newer one by default.
LIBRARY_VERSIONS = ("earliest", "v110")

BEST_COMPRESSION = 1100
"""No filter of HDF5 shrinks data more than this; deflate reaches 1032."""

SMALL_BYTES = 1 << 20
"""Datasets up to this size are harmless whatever is stored of them."""

LARGEST_CHUNK_BYTES = 1 << 28
"""A chunk is decompressed whole, however little of it is asked for."""


class DiskFile(io.FileIO):
    """A file for HDF5 that keeps the first failure instead of raising it.

    When a write fails inside the HDF5 library, h5py raises but the library crashes the process
    when it closes the file. Here writing only pretends to go on, the library closes in good
    order, and the caller looks at `error`.

    Attributes:
        error: The first failure, None while all is well.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes all of `data`; does nothing after a failure."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.error is None:
            try:
                done += super().write(view[done:])
            except OSError as error:
                self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Sets the length of the file; does nothing after a failure."""
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return size or 0


@contextmanager
def create_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Creates an HDF5 file.

    Yields:
        The file, and a function that raises OutputError if a write has failed; call it after
        every block, because writing itself does not raise.

    Raises:
        OutputError: The file cannot be made, or is not complete on the disk at the end.
    """

    def check() -> None:
        if raw.error is not None:
            raise OutputError(
                f"{path}: cannot be written: {raw.error.strerror} "
                f"({format_bytes(free_bytes(path.parent))} free); free some space and run the "
                "same command again"
            )

    try:
        raw = DiskFile(path, "w+b")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror}; check that the folder exists and can "
            "be written"
        ) from error
    with raw:
        with h5py.File(raw, "w", libver=LIBRARY_VERSIONS) as file:
            yield file, check
        check()


def open_hdf5(path: Path, expected: str = "one that was written to its end") -> h5py.File:
    """Opens an HDF5 file for reading.

    Args:
        path: The file.
        expected: What the file should be, for the message.

    Raises:
        InputFormatError: The file is no HDF5 file, or is cut short.
        FileNotFoundError: There is no such file.
        OutputError: This process has too many open files.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise OutputError(
                f"{path}: too many files are open at once; raise the limit (ulimit -n)"
            ) from error
        raise InputFormatError(f"{path}: not a complete HDF5 file; expected {expected}") from error


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turns what the HDF5 library raises on damaged files into an error that names the file.

    Raises:
        InputFormatError: The block raised one of the many errors of the library.
    """
    try:
        yield
    except TfgenError:
        raise
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
        raise InputFormatError(
            f"{path}: is damaged, or uses a filter that this HDF5 library lacks "
            f"({type(error).__name__}: {error})"
        ) from error


def safe_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """A dataset at the top level of a file that may come from anybody.

    HDF5 can point into other files of this computer and can declare any size; neither is needed
    here, and both are refused before anything is read.

    Returns:
        The dataset, or None if `name` is a group.

    Raises:
        InputFormatError: The name is a link, or the data lie in another file, or the declared
            size is far above what is stored.
    """
    path = file.filename
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise InputFormatError(
            f"{path}: {name!r} is a link, which could lead to another file; expected a dataset"
        )
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        return None
    if dataset.external or dataset.is_virtual:
        raise InputFormatError(
            f"{path}: the data of {name!r} lie in another file; expected them in this one"
        )
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > SMALL_BYTES and dataset.nbytes > stored * BEST_COMPRESSION:
        raise InputFormatError(
            f"{path}: {name!r} claims {format_bytes(dataset.nbytes)} but stores "
            f"{format_bytes(stored)}; the file is damaged or hostile"
        )
    chunk_bytes = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    if chunk_bytes > LARGEST_CHUNK_BYTES:
        raise InputFormatError(
            f"{path}: {name!r} has chunks of {format_bytes(chunk_bytes)}; expected at most "
            f"{format_bytes(LARGEST_CHUNK_BYTES)}"
        )
    return dataset
