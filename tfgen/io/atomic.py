"""Files and directories that appear complete or not at all.

A new output is written beside its final place, brought to the disk, and renamed. A process that is
killed leaves the former output as it was.
"""

import errno
import json
import math
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tfgen.errors import OutputError
from tfgen.io.lock import process_is_alive
from tfgen.io.space import format_bytes, free_bytes

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def publish(partial: Path, final: Path) -> None:
    """Renames a finished file to its final name so that a crash at any moment loses nothing.

    The contents reach the disk before the name does, and the name before this returns.

    Args:
        partial: The finished file, in the same file system as `final`.
        final: Its name from now on; an existing file is replaced.

    Raises:
        OutputError: The disk is full, the folder cannot be written, or `final` is no plain file.
    """
    _require_plain_file(final)
    try:
        _sync(partial)
        os.replace(partial, final)
        _sync(final.parent)
    except OSError as error:
        raise _write_error(final, error) from error


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Opens a UTF-8 text file that appears under its name only when the block succeeds.

    Args:
        path: Final name, in an existing folder; an existing file is replaced at the end.

    Yields:
        A text stream. Line ends are written as given.

    Raises:
        OutputError: The file cannot be made, the disk is full, or `path` is no plain file.
    """
    _require_plain_file(path)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        stream = partial.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        with stream:
            yield stream
        publish(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise _write_error(path, error) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file in one step: readers see the old file or the new one.

    Raises:
        OutputError: As `new_file`.
    """
    with new_file(path) as stream:
        stream.write(text)


def write_json(path: Path, value: object) -> None:
    """Writes JSON in one step: sorted keys, indent 1, a newline at the end.

    Paths become strings, numpy scalars and arrays numbers and lists, and tuples lists.
    NaN and infinities become null, because JSON has no word for them.

    Raises:
        OutputError: As `new_file`.
        TypeError: `value` holds something else that JSON cannot express.
    """
    text = json.dumps(_plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


@contextmanager
def new_directory(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Fills a directory that appears under its name only when the block succeeds.

    Args:
        path: Final name; missing parents are made.
        overwrite: Replace an existing directory. It stays until the new one is complete.

    Yields:
        A fresh directory beside `path`. It is removed when the block raises, and what a killed
        process left behind is removed by the next run.

    Raises:
        OutputError: `path` exists, is not ours to replace, or cannot be written.
    """
    _require_replaceable(path, overwrite)
    host = socket.gethostname()
    partial = path.with_name(f"{path.name}.partial-{host}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(path, host)
        partial.mkdir()
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        yield partial
        _require_replaceable(path, overwrite)
        _publish_directory(partial, path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise _write_error(path, error) from error
        raise


def _publish_directory(partial: Path, final: Path) -> None:
    """Syncs every file of `partial` and swaps it in for `final`."""
    retired = final.with_name(f"{partial.name}-old")
    try:
        for folder, _, names in os.walk(partial):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        replaces = final.exists()
        if replaces:
            final.rename(retired)
        try:
            partial.rename(final)
        except OSError:
            if replaces:
                retired.rename(final)
            raise
        _sync(final.parent)
    except OSError as error:
        raise _write_error(final, error) from error
    shutil.rmtree(retired, ignore_errors=True)


def _remove_left_overs(path: Path, host: str) -> None:
    """Removes the unfinished directories of processes that have died on this machine."""
    start = f"{path.name}.partial-{host}-"
    for sibling in path.parent.iterdir():
        pid = sibling.name.removeprefix(start)
        if sibling.name.startswith(start) and pid.isdecimal() and not process_is_alive(int(pid)):
            shutil.rmtree(sibling, ignore_errors=True)


def _require_replaceable(path: Path, overwrite: bool) -> None:
    """Raises OutputError if `path` exists and must stay."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{path}: is a file or a link; choose another output")
    if not overwrite:
        raise OutputError(f"{path}: exists; choose another output or pass --overwrite")
    resolved = path.resolve()
    if Path.cwd().is_relative_to(resolved) or Path.home().is_relative_to(resolved):
        raise OutputError(
            f"{path}: holds the current or the home folder and is not replaced; "
            "choose another output"
        )


def _require_plain_file(path: Path) -> None:
    """Raises OutputError if `path` is something that a rename would destroy, such as a device."""
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "a device or pipe"
        raise OutputError(f"{path}: is {kind} and cannot be replaced; choose a file name")


def _sync(path: Path) -> None:
    """Brings a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems cannot sync a directory; the rename is still atomic there.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _write_error(path: Path, error: OSError) -> OutputError:
    """The one-line form of a failed write, with the free space if that is the cause."""
    if error.errno in _DISK_FULL:
        free = format_bytes(free_bytes(path.parent))
        return OutputError(f"{path}: the disk is full ({free} free); free some space and run again")
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}; "
        "check that the folder exists and can be written"
    )


def _plain(value: object) -> object:
    """`value` in the types of JSON; what JSON lacks is left for `json.dumps` to refuse."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    # numpy scalars and arrays, without importing numpy.
    to_list = getattr(value, "tolist", None)
    return _plain(to_list()) if callable(to_list) else value
