"""Compressed input: its kind, whether it is whole, and its contents."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from tfgen.errors import InputFormatError

Compression = Literal["none", "gzip", "bgzf"]
"""bgzf is the blocked gzip of bgzip, which allows random access."""

BGZF_HEADER_BYTES: Final = 18
"""Bytes of a BGZF block before its compressed data."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_EXTRA_FIELD_FLAG: Final = 4
_BLOCK_SIZE_FIELD: Final = b"BC\x02\x00"
_END_BLOCK: Final = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every whole BGZF file (SAM specification, section 4.1.2)."""
_BUFFER_BYTES: Final = 1 << 18


def compression(path: Path) -> Compression:
    """How a file is compressed, by its first bytes.

    Raises:
        InputFormatError: The file does not exist, cannot be read, or is a pipe.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        # Every input is read more than once, and opening a pipe could wait for ever.
        raise InputFormatError(f"{path}: is a pipe or a device; save its contents to a file first")
    try:
        with path.open("rb") as handle:
            head = handle.read(BGZF_HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head.startswith(_GZIP_MAGIC):
        return "none"
    return "bgzf" if is_bgzf_block(head) else "gzip"


def is_bgzf_block(head: bytes) -> bool:
    """Whether the first `BGZF_HEADER_BYTES` bytes are those of a BGZF block."""
    return (
        len(head) == BGZF_HEADER_BYTES
        and head.startswith(_GZIP_MAGIC)
        and bool(head[3] & _EXTRA_FIELD_FLAG)
        and head[12:16] == _BLOCK_SIZE_FIELD
    )


def require_whole(path: Path) -> None:
    """Stops when the file is BGZF and was cut: its last bytes are not the end marker.

    A file cut between two blocks decompresses without any fault, only shorter.

    Raises:
        InputFormatError: The end marker is missing, or the file cannot be read.
    """
    if compression(path) != "bgzf":
        return
    with path.open("rb") as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - len(_END_BLOCK)))
        tail = handle.read()
    if tail != _END_BLOCK:
        raise InputFormatError(
            f"{path}: the bgzip end marker is missing, so the file is truncated; copy or make it "
            "again"
        )


@contextmanager
def decompressed(path: Path) -> Iterator[io.BufferedIOBase]:
    """Opens a plain, gzip or bgzip file for reading its uncompressed bytes.

    Raises:
        InputFormatError: The file cannot be read, or turns out to be damaged or truncated while
            the block reads it.
    """
    try:
        if compression(path) == "none":
            with path.open("rb") as handle:
                yield handle
        else:
            # The buffer makes reading line by line several times faster.
            with io.BufferedReader(gzip.open(path, "rb"), _BUFFER_BYTES) as handle:
                yield handle
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputFormatError(f"{path}: is damaged or truncated ({error})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputFormatError:
    return InputFormatError(f"{path}: cannot be read ({error.strerror or error})")
