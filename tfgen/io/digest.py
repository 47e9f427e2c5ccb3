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
        InputFormatError: A name that leads out of `root` or holds a line break.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(set(names), key=lambda text: text.encode()):
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\n" in name:
            raise InputFormatError(
                f"{root}: {name!r} is not the name of a file below this folder; "
                "give names relative to it, without '..'"
            )
        digest.update(f"{sha256_file(root / pure)}  {name}\n".encode())
    return digest.hexdigest()
