"""Outputs that would destroy their own inputs."""

from collections.abc import Iterable
from pathlib import Path

from tfgen.errors import UsageError
from tfgen.io.work import partial_folder


def refuse_overlap(output: Path, inputs: Iterable[Path | None]) -> None:
    """Stops when an output is one of the inputs, or a folder that holds one.

    The folder of unfinished work beside an output counts as the output; so does a file that an
    input folder has already.

    Args:
        output: File or folder to be written; need not exist.
        inputs: Files and folders to be read; None stands for one that is not given.

    Raises:
        UsageError: Writing the output would destroy an input, or it has no name of its own.
    """
    if output.name in ("", ".."):
        raise UsageError(f"{output}: has no name of its own; choose another output")
    target = output.resolve()
    work = partial_folder(target)
    for path in inputs:
        if path is None:
            continue
        source = path.resolve()
        if source == target or _same_file(source, target):
            raise UsageError(f"{output}: is the input {path}; choose another output")
        if source.is_relative_to(target):
            raise UsageError(f"{output}: holds the input {path}; choose another output")
        if source.is_relative_to(work):
            raise UsageError(
                f"{path}: lies in {work.name}, where the unfinished part of the output is kept; "
                "move it, or choose another output"
            )
        if target.is_relative_to(source) and target.exists():
            raise UsageError(f"{output}: is part of the input {path}; choose another output")


def _same_file(first: Path, second: Path) -> bool:
    """Whether two names lead to one existing file, as hard links do."""
    return first.exists() and second.exists() and first.samefile(second)
