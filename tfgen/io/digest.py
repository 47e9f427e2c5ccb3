"""SHA-256 digests of files and of sets of files."""

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tfgen.errors import InputFormatError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_files(root: Path, names: Iterable[str]) -> str:
    r"""One SHA-256 for a set of files, in hex, whatever the order in which they are named.

    It is the digest of the lines `<sha256>  <name>\n` sorted by name, so that
    `(cd ROOT; LC_ALL=C sha256sum NAMES | sha256sum)` gives the same with the names in order.

    Args:
        root: Folder of the files.
        names: Their names relative to `root`, with `/` between folders.

    Raises:
        InputFormatError: A name that leads out of `root`, holds a line break, or that no file can
            have.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for written, name in sorted((_file_name(root, name), name) for name in set(names)):
        digest.update(sha256_file(root / name).encode() + b"  " + written + b"\n")
    return digest.hexdigest()


def _file_name(root: Path, name: str) -> bytes:
    """A name as it is on the disk.

    Raises:
        InputFormatError: No name of a file below `root`.
    """
    pure = PurePosixPath(name)
    try:
        written = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        written = b""
    if not written or pure.is_absolute() or ".." in pure.parts or {"\n", "\0"} & set(name):
        raise InputFormatError(
            f"{root}: {name!r} is not the name of a file below this folder; "
            "give names relative to it, without '..'"
        )
    return written
