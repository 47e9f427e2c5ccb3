"""The files beside an output: they replace only their like, and never an input."""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tfgen.errors import OutputError
from tfgen.io import refuse_overlap
from tfgen.io.rejects import COLUMNS

REJECTS: Final = ".rejects.tsv"
REPORT: Final = ".run.json"
TRUTH: Final = ".truth.tsv.gz"

_LOCKS: Final = (".lock", ".lock.takeover")
_STARTS: Final = {
    REJECTS: "\t".join(COLUMNS).encode(),
    REPORT: b'{\n "command":',
    TRUTH: b"SNP\tCHR\tBP\tA1\tA2\tA1FREQ\tLOGF\tB\tOBSERVED\n",
}
"""First bytes, unpacked, of the files that a run leaves beside its output."""


def beside(output: Path, end: str) -> Path:
    """The file beside an output whose name has this end too."""
    return output.with_name(output.name + end)


def refuse_overlaps(output: Path, ends: Sequence[str], inputs: Iterable[Path | None]) -> None:
    """Stops when an output or a file that a run makes beside it is one of the inputs.

    Args:
        output: The output.
        ends: What the names of the files beside it end with.
        inputs: Files and folders to be read; None stands for one that is not given.

    Raises:
        UsageError: Writing would destroy an input.
    """
    inputs = list(inputs)
    for path in (output, *(beside(output, end) for end in (*ends, *_LOCKS))):
        refuse_overlap(path, inputs)


def refuse_foreign(output: Path, ends: Sequence[str]) -> None:
    """Stops when something else than a former run has left lies where a file is to go.

    Args:
        output: The output.
        ends: What the names of the files beside it end with: `REJECTS`, `REPORT` or `TRUTH`.

    Raises:
        OutputError: A file of another kind, a link or a folder has the name.
    """
    for end in ends:
        path = beside(output, end)
        if path.is_symlink() or (path.exists() and not _is_ours(path, _STARTS[end])):
            raise OutputError(
                f"{path}: exists and no run of tfgen has written it, so it is not replaced; "
                "move it or choose another output"
            )


def _is_ours(path: Path, start: bytes) -> bool:
    if not path.is_file():
        return False
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return bool(stream.read(len(start)) == start)
    except (OSError, EOFError, zlib.error):
        return False
