"""Files and directories that appear complete or not at all.

A new output is written beside its final place, brought to the disk, and renamed. A process that is
killed leaves the former output as it was; a former directory may have to be put back by the next
run (see `new_directory`).
"""

import errno
import json
import math
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tfgen.errors import OutputError
from tfgen.io.processes import process_is_alive
from tfgen.io.space import format_bytes, free_bytes

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_RETIRED = "-old"  # end of the name of a directory that is being replaced

# The directories that this process is filling.
_in_use: set[Path] = set()


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
    r"""Opens a UTF-8 text file that appears under its name only when the block succeeds.

    What has no UTF-8 form, as a byte of a file name that is no text, is written as `\udcXX`.

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
        stream = partial.open("x", encoding="utf-8", errors="backslashreplace", newline="")
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
    """Writes JSON in one step: ASCII, sorted keys, indent 1, a newline at the end.

    ASCII holds any text, also a file name that is no UTF-8. Paths become strings, numpy scalars
    and arrays numbers and lists, and tuples lists. NaN and infinities become null, because JSON
    has no word for them.

    Raises:
        OutputError: As `new_file`.
        TypeError: `value` holds something else that JSON cannot express.
    """
    text = json.dumps(_plain(value), sort_keys=True, indent=1, allow_nan=False)
    write_text(path, text + "\n")


@contextmanager
def new_directory(path: Path, overwrite: bool = False, kind: str | None = None) -> Iterator[Path]:
    """Fills a directory that appears under its name only when the block succeeds.

    Two directories cannot be swapped in one step: between two renames at the very end neither has
    the name. A process that is killed there leaves the former directory under the name
    `PATH.partial-HOST-PID-old`, and the next call for the same path on that machine puts it back
    before it looks whether `path` exists.

    Args:
        path: Final name; missing parents are made.
        overwrite: Replace an existing directory. It stays until the new one is complete.
        kind: Name of a file by which directories of this kind are known. One without it, unless
            it is empty, is somebody's own and is never replaced. None replaces any.

    Yields:
        A fresh directory beside `path`. It is removed when the block raises; what a killed process
        left is removed by the next call for the same path on that machine.

    Raises:
        OutputError: `path` exists, is not ours to replace, or cannot be written.
    """
    if path.name in ("", ".."):
        path = path.resolve()
    if not path.name:
        raise OutputError(f"{path}: is the root folder; choose another output")
    partial = path.with_name(f"{path.name}.partial-{socket.gethostname()}-{os.getpid()}")
    try:
        _settle_left_overs(path)
        _require_replaceable(path, overwrite, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
    except OSError as error:
        raise _write_error(path, error) from error
    mark = partial.resolve()
    _in_use.add(mark)
    try:
        yield partial
        _require_replaceable(path, overwrite, kind)
        _publish_directory(partial, path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise _write_error(path, error) from error
        raise
    finally:
        _in_use.discard(mark)


def _publish_directory(partial: Path, final: Path) -> None:
    """Syncs every file of `partial` and swaps it in for `final`."""
    retired = partial.with_name(partial.name + _RETIRED)
    try:
        for folder, _, names in os.walk(partial):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        try:
            if final.exists():
                final.rename(retired)
            partial.rename(final)
        except BaseException:
            if retired.exists() and not final.exists():
                retired.rename(final)
            raise
        _sync(final.parent)
    except OSError as error:
        raise _write_error(final, error) from error
    if retired.exists():
        _remove_retired(retired)


def _remove_retired(retired: Path) -> None:
    """Removes a former directory, first its name: half of it must never be put back."""
    with suppress(OSError):
        rubbish = retired.with_name(retired.name.removesuffix(_RETIRED))
        retired.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)


def _settle_left_overs(path: Path) -> None:
    """Puts back or removes what processes that have died on this machine left of `path`."""
    if not path.parent.is_dir():
        return
    start = re.escape(f"{path.name}.partial-{socket.gethostname()}-")
    left_over = re.compile(rf"{start}([0-9]+)({_RETIRED})?")
    # In the order of names, in which a new directory comes before the one that it was to replace.
    for sibling in sorted(path.parent.iterdir()):
        match = left_over.fullmatch(sibling.name)
        if match is None or _is_in_use(sibling, int(match[1])):
            continue
        if match[2] is None:
            shutil.rmtree(sibling, ignore_errors=True)
        elif os.path.lexists(path):
            _remove_retired(sibling)
        else:
            # Another process may have been faster.
            with suppress(FileNotFoundError):
                sibling.rename(path)


def _is_in_use(partial: Path, pid: int) -> bool:
    """Whether the process that made a directory still runs; a pid may be ours by reuse."""
    if pid == os.getpid():
        return partial.with_name(partial.name.removesuffix(_RETIRED)).resolve() in _in_use
    return process_is_alive(pid)


def _require_replaceable(path: Path, overwrite: bool, kind: str | None) -> None:
    """Raises OutputError if `path` exists and must stay."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{path}: is a file or a link; choose another output")
    if kind is not None and not (path / kind).is_file() and any(path.iterdir()):
        raise OutputError(
            f"{path}: exists and holds something else (no {kind}), so it is never replaced; choose "
            "another output"
        )
    if not overwrite:
        raise OutputError(f"{path}: exists; choose another output or pass --overwrite")
    resolved = path.resolve()
    for find in (Path.cwd, Path.home):
        # The current folder may have been removed, and a user of a container may have no home.
        with suppress(OSError, RuntimeError):
            if find().resolve().is_relative_to(resolved):
                raise OutputError(
                    f"{path}: holds the current or the home folder and is not replaced; "
                    "choose another output"
                )


def _require_plain_file(path: Path) -> None:
    """Raises OutputError if `path` is something that a rename would destroy, such as a device."""
    if path.is_symlink():
        raise OutputError(f"{path}: is a link; give the name of the file itself")
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
