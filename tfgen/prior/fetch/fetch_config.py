"""The settings of a download."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.errors import UsageError
from tfgen.io.remote import require_safe_url
from tfgen.prior.fetch.recipe import CHROMS, group_names

ProgressMode = Literal["auto", "bar", "lines", "none"]

_ACTIONS = ("list", "dry_run", "download")
_MAX_JOBS = 32


def _setting(help_text: str, **options: Any) -> Any:
    """A field with what the flag of the same name needs; `lower` and the like go there too."""
    metadata = {"help": help_text}
    for name in ("choices", "lower", "upper"):
        if name in options:
            metadata[name] = options.pop(name)
    return field(metadata=metadata, **options)


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """Everything that a user decides about a download; each field is a flag.

    Raises:
        UsageError: Not exactly one action, or a value without a meaning.
    """

    list: bool = _setting("Show the groups of files; asks no server.", default=False)
    dry_run: bool = _setting(
        "Ask the servers which files there are and how large, and fetch nothing.", default=False
    )
    download: bool = _setting("Fetch the files that are missing.", default=False)
    output: Path | None = _setting("Folder of the files; each group has its own.", default=None)
    group: tuple[str, ...] = _setting(
        "Groups of files; all of them by default.", choices=group_names(), default=()
    )
    chroms: tuple[str, ...] = _setting(
        "Chromosomes, where a group has files for each (ukb_ld); all by default.",
        choices=CHROMS,
        default=(),
    )
    max_gb: float | None = _setting(
        "Refuse to start if more than so many GB (1e9 bytes) are missing.", default=None, lower=0.0
    )
    jobs: int = _setting("Files fetched at a time.", default=4, lower=1, upper=_MAX_JOBS)
    verify: bool = _setting(
        "Read the files that are there again and compare their digests; a damaged one is fetched "
        "anew.",
        default=False,
    )
    mirror: tuple[str, ...] = _setting(
        "GROUP=URL: where the files of a group are instead (https, or http on this machine).",
        default=(),
    )
    progress: ProgressMode = _setting("How progress is shown on stderr.", default="auto")

    def __post_init__(self) -> None:
        chosen = [name for name in _ACTIONS if getattr(self, name)]
        if len(chosen) != 1:
            given = " and ".join(f"--{name}" for name in chosen) or "none of them"
            raise UsageError(f"give one of --list, --dry_run and --download, not {given}")
        if self.output is None and not self.list:
            raise UsageError(f"--{chosen[0]} needs --output=FOLDER")
        for name, choices in (("group", group_names()), ("chroms", CHROMS)):
            for word in getattr(self, name):
                if word not in choices:
                    raise UsageError(f"{name} {word!r} is unknown; use {', '.join(choices)}")
        if self.max_gb is not None and not self.max_gb > 0:
            raise UsageError(f"max_gb is {self.max_gb}; expected more than 0")
        if not 1 <= self.jobs <= _MAX_JOBS:
            raise UsageError(f"jobs is {self.jobs}; expected 1 to {_MAX_JOBS}")
        if self.progress not in get_args(ProgressMode):
            modes = ", ".join(get_args(ProgressMode))
            raise UsageError(f"progress is {self.progress!r}; use one of {modes}")
        _ = self.mirrors

    @property
    def groups(self) -> tuple[str, ...]:
        """The chosen groups in the order of the recipe."""
        return tuple(name for name in group_names() if name in (self.group or group_names()))

    @property
    def mirrors(self) -> Mapping[str, str]:
        """Group to its address instead of the recipe's, with a slash at the end.

        Raises:
            UsageError: Not of the form GROUP=URL, an unknown group, or a URL that is not safe.
        """
        found = {}
        for text in self.mirror:
            name, equals, url = text.partition("=")
            if not equals or name not in group_names():
                known = ", ".join(group_names())
                raise UsageError(f"mirror {text!r}: expected GROUP=URL with a group of {known}")
            require_safe_url(url)
            found[name] = url if url.endswith("/") else url + "/"
        return found
