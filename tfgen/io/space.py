"""Free disk space: checked before a long run starts, named when a write fails."""

import shutil
from pathlib import Path

from tfgen.errors import OutputError


def format_bytes(n_bytes: int) -> str:
    """A size for people: `999 B`, `1.5 kB`, `2.0 GB` (decimal units, as `df -H` shows them)."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:  # noqa: PLR2004  the next unit starts where this one would print 1000.0
            return f"{n_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write in `folder`, or in its nearest existing parent."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_free_space(folder: Path, n_bytes: int, what: str) -> None:
    """Stops before work is done that could not be stored.

    Args:
        folder: Where the output will be; it need not exist yet.
        n_bytes: Estimated size of the output in bytes.
        what: Name of the output for the message, for example `scores.h5`.

    Raises:
        OutputError: Fewer than `n_bytes` bytes are free.
    """
    free = free_bytes(folder)
    if free < n_bytes:
        raise OutputError(
            f"{folder}: {what} needs {format_bytes(n_bytes)} but {format_bytes(free)} is free; "
            "free some space or choose an output on another disk"
        )
