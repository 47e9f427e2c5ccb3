"""What the functional prior is trained on and where it is published: `recipe.json`, read.

The recipe is data: a group has a base address, below which its files lie, and says which files
these are: a fixed list, all LD windows of the autosomes, the links of a web page (`index`), or
what a search of the ENCODE portal selects (`search`). Groups behind a login or a bill have
instructions instead.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Literal

from tfgen.errors import InputFormatError
from tfgen.io.download import Checksum

Access = Literal["none", "requester_pays", "registration"]

RECIPE_VERSION = 1
CHROMS = tuple(str(number) for number in range(1, 23))


@dataclass(frozen=True)
class Entry:
    """One file of a group.

    Attributes:
        url: Address below the base of its group, or a whole one.
        path: Where it goes, below the folder of the group, with `/` between folders.
        size: Published size in bytes; None if none is published.
        checksum: Published checksum.
        md5sums: Address, below the base, of a table of MD5 sums that names the file.
        chrom: Its chromosome, without `chr`; "" for the whole genome.
        about: Its size in words where no exact one is published; "" if nothing is known.
    """

    url: str
    path: str
    size: int | None = None
    checksum: Checksum | None = None
    md5sums: str = ""
    chrom: str = ""
    about: str = ""


@dataclass(frozen=True)
class Group:
    """Files that are fetched and used together.

    Attributes:
        name: Its name on the command line, and its folder.
        title: What it is.
        access: `none` needed; `requester_pays`: a cloud account that is billed; `registration`.
        build: Genome build of the coordinates.
        base: Address below which its files lie.
        terms: Licence or terms of use, and whom to cite.
        about: Size in words where no exact one is published; "" if nothing is known.
        then: The command that uses the files; `{folder}` is where they are.
        manual: What to do by hand, line by line; empty if the files can be fetched.
        entries: Its files; empty where a list must be asked for.
        index: How to read the files off a web page; empty without one.
        search: How to choose the files from the ENCODE portal; empty without it.
        without_npz: LD windows for which the source has no matrix.
    """

    name: str
    title: str
    access: Access
    build: str
    base: str
    terms: str
    then: str
    about: str = ""
    manual: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    index: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    without_npz: tuple[str, ...] = ()

    @property
    def is_listed_online(self) -> bool:
        """Whether the server has to be asked which files there are."""
        return bool(self.index or self.search)

    def of_chroms(self, chroms: Collection[str]) -> tuple[Entry, ...]:
        """The files of some chromosomes; those of the whole genome always belong to it.

        Args:
            chroms: Chromosomes without `chr`; none stands for all.
        """
        return tuple(
            entry
            for entry in self.entries
            if not chroms or not entry.chrom or entry.chrom in chroms
        )


@cache
def recipe() -> Mapping[str, Group]:
    """All groups by name, in the order in which they are shown."""
    text = resources.files("tfgen.prior.fetch").joinpath("recipe.json").read_text(encoding="utf-8")
    content = json.loads(text)
    if content["format_version"] != RECIPE_VERSION:
        raise ValueError(f"recipe.json has version {content['format_version']}")
    return {name: _group(name, value) for name, value in content["groups"].items()}


def group_names() -> tuple[str, ...]:
    """The names of all groups."""
    return tuple(recipe())


def ld_windows(
    width: int, step: int, starts: Mapping[str, Collection[tuple[int, int]]]
) -> list[tuple[str, int, int]]:
    """The sliding windows of an LD panel.

    Args:
        width: Bases from the start of a window to its end.
        step: Bases from one start to the next.
        starts: Chromosome to runs of windows (start of the first, start of the last), 1-based;
            between two runs, as at a centromere, there are none.

    Returns:
        Chromosome, start and end of every window in genome order.
    """
    return [
        (chrom, start, start + width)
        for chrom, runs in starts.items()
        for first, last in runs
        for start in range(first, last + 1, step)
    ]


def check_relative_path(path: str) -> str:
    """Refuses the name of a file that would not lie below its folder.

    Raises:
        InputFormatError: An absolute name, one with `..`, or one that no file can have.
    """
    parts = path.split("/")
    if (
        PurePosixPath(path).is_absolute()
        or any(part in ("", ".", "..") for part in parts)
        or not path.isprintable()
        or "\\" in path
    ):
        raise InputFormatError(
            f"{path!r}: leads out of the output folder or is no file name; refused"
        )
    return path


def _group(name: str, value: Mapping[str, Any]) -> Group:
    """A group from its JSON."""
    windows = value.get("windows", {})
    return Group(
        name=name,
        title=value["title"],
        access=value["access"],
        build=value["build"],
        base=value["base"],
        terms=value["terms"],
        then=value["then"],
        about=value.get("about", ""),
        manual=tuple(value.get("manual", ())),
        entries=(*map(_entry, value.get("files", ())), *_window_entries(windows)),
        index=value.get("index", {}),
        search=value.get("search", {}),
        without_npz=tuple(windows.get("without_npz", ())),
    )


def _entry(value: Mapping[str, Any]) -> Entry:
    """A file from its JSON."""
    checksum = Checksum("sha256", value["sha256"]) if "sha256" in value else None
    return Entry(
        url=value["url"],
        path=check_relative_path(value["path"]),
        size=value.get("size"),
        checksum=checksum,
        md5sums=value.get("md5sums", ""),
        about=value.get("about", ""),
    )


def _window_entries(windows: Mapping[str, Any]) -> list[Entry]:
    """The files of all LD windows."""
    if not windows:
        return []
    entries = []
    for chrom, start, end in ld_windows(windows["width"], windows["step"], windows["starts"]):
        for pattern in windows["files"]:
            name = pattern.format(chrom=chrom, start=start, end=end)
            entries.append(Entry(url=name, path=name, chrom=chrom))
    return entries
