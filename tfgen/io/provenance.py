"""How an output came to be: versions, inputs, flags, seeds, time."""

import importlib.metadata
import platform
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tfgen import __version__
from tfgen.io.atomic import write_json
from tfgen.io.digest import sha256_file, sha256_files

# Distributions that can change a number.
LIBRARIES = (
    "dm-sonnet",
    "h5py",
    "keras",
    "numpy",
    "pandas",
    "pyBigWig",
    "pysam",
    "tensorflow",
    "tensorflow-probability",
)


def library_versions() -> dict[str, str]:
    """Versions of tfgen, Python and the installed libraries that compute, none of them imported."""
    versions = {"tfgen": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def input_fingerprint(path: Path) -> dict[str, object]:
    """What identifies an input: absolute `path`, `size` in bytes, and `sha256` in hex.

    For a directory, the size and the digest (`sha256_files`) are over all files below it.

    Raises:
        OSError: The input cannot be read.
    """
    absolute = path.absolute()
    if not path.is_dir():
        return {"path": str(absolute), "size": path.stat().st_size, "sha256": sha256_file(path)}
    files = [file for file in path.rglob("*") if file.is_file()]
    return {
        "path": str(absolute),
        "size": sum(file.stat().st_size for file in files),
        "sha256": sha256_files(path, [file.relative_to(path).as_posix() for file in files]),
    }


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


@dataclass
class RunReport:
    """The contents of `run.json`: everything about a run that does not determine its numbers too.

    Make it when the run starts and write it when the run ends.

    Attributes:
        command: Name of the binary.
        flags: Every flag with its value.
        inputs: Name of an input to its `input_fingerprint`.
        seeds: Purpose of a random generator to its seed.
        results: Counts, rates and checks of the finished run.
        now: Clock; tests give their own.
        started: UTC time at which the report was made.
    """

    command: str
    flags: Mapping[str, object]
    inputs: Mapping[str, object] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    results: dict[str, object] = field(default_factory=dict)
    now: Callable[[], datetime] = utc_now
    started: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    def write(self, path: Path) -> None:
        """Writes the report as JSON, with versions, host, start, end and duration in seconds.

        Raises:
            OutputError: The file cannot be written.
        """
        finished = self.now()
        write_json(
            path,
            {
                "command": self.command,
                "flags": self.flags,
                "inputs": self.inputs,
                "seeds": self.seeds,
                "results": self.results,
                "versions": library_versions(),
                "host": socket.gethostname(),
                "started": self.started.isoformat(timespec="seconds"),
                "finished": finished.isoformat(timespec="seconds"),
                "seconds": round((finished - self.started).total_seconds(), 3),
            },
        )
