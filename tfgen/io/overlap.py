"""Outputs that would destroy their own inputs."""

from collections.abc import Iterable
from pathlib import Path

from tfgen.errors import UsageError


def refuse_overlap(output: Path, inputs: Iterable[Path | None]) -> None:
    """Stops when an output is one of the inputs, or a folder that holds one.

    Args:
        output: File or folder to be written; need not exist.
        inputs: Files and folders to be read; None stands for one that is not given.

    Raises:
        UsageError: Writing the output would destroy an input.
    """
    target = output.resolve()
    for path in inputs:
        if path is None:
            continue
        source = path.resolve()
        if source == target or _same_file(source, target):
            raise UsageError(f"{output}: is the input {path}; choose another output")
        if source.is_relative_to(target):
            raise UsageError(f"{output}: holds the input {path}; choose another output")


def _same_file(first: Path, second: Path) -> bool:
    """Whether two names lead to one existing file, as hard links do."""
    return first.exists() and second.exists() and first.samefile(second)
