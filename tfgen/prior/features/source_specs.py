"""How a source of features is named on the command line: `NAME=PATH:option=value:...`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfgen.errors import UsageError

_NAMED = re.compile(r"([A-Za-z0-9_.+-]+)=(.+)", re.DOTALL)
_NEXT_OPTION = re.compile(r":(?=[a-z_]+=)")
_SUFFIXES = (".gz", ".bgz", ".parquet", ".annot", ".bed", ".bigwig", ".bigWig", ".bw", ".h5")
_SUFFIXES_OF_TABLES = (".tsv", ".csv", ".txt", ".tab")


@dataclass(frozen=True)
class SourceSpec:
    """One source: `NAME=PATH:option=value:...`, of which only the path is required.

    Attributes:
        flag: The flag that named it, for messages.
        name: Given name, "" without one.
        path: The file, or with "@" in its name one file per chromosome.
        options: Options in the order given.
    """

    flag: str
    name: str
    path: Path
    options: Mapping[str, str]

    @property
    def stem(self) -> str:
        """The given name, else the file name without its suffixes."""
        if self.name:
            return self.name
        name = self.path.name
        while (bare := _without_suffix(name)) != name:
            name = bare
        return name

    @property
    def label(self) -> str:
        """The source for a message: `--bed=promoters.bed`."""
        return f"--{self.flag}={self.path}"

    @property
    def prefix(self) -> str:
        """What stands before the names of its columns: `NAME.`, or nothing without a name."""
        return f"{self.name}." if self.name else ""

    def choice(self, option: str, choices: Collection[str], default: str) -> str:
        """An option out of a fixed set.

        Raises:
            UsageError: It has another value.
        """
        value = self.options.get(option, default)
        if value not in choices:
            raise UsageError(
                f"{self.label}: {option}={value!r}; use one of {', '.join(sorted(choices))}"
            )
        return value

    def yes(self, option: str, default: bool = False) -> bool:
        """An option that is yes or no.

        Raises:
            UsageError: It is neither.
        """
        return self.choice(option, ("yes", "no"), "yes" if default else "no") == "yes"

    def listed(self, option: str) -> tuple[str, ...]:
        """The words of an option of the form `a+b+c`; none if it is not given."""
        return tuple(word for word in self.options.get(option, "").split("+") if word)


def parse_source(flag: str, text: str, allowed: Collection[str] = ()) -> SourceSpec:
    """Reads `NAME=PATH:option=value:...`.

    The name has no slash, so a path may hold "=" behind one; a colon separates only where an
    option follows.

    Args:
        flag: The flag, for messages.
        text: Its value, one entry of the list.
        allowed: Options that this kind of source has.

    Raises:
        UsageError: No path, an unknown option, or one twice.
    """
    rest, *parts = _NEXT_OPTION.split(text)
    named = _NAMED.fullmatch(rest)
    name, path = (named.group(1), named.group(2)) if named else ("", rest)
    if not path:
        raise UsageError(f"--{flag}={text}: no path; expected NAME=PATH or PATH")
    options: dict[str, str] = {}
    for part in parts:
        option, _, value = part.partition("=")
        if option not in allowed:
            known = f"use one of {', '.join(sorted(allowed))}" if allowed else "it has no options"
            raise UsageError(f"--{flag}={text}: unknown option {option!r}; {known}")
        if option in options or not value:
            raise UsageError(f"--{flag}={text}: option {option!r} is empty or given twice")
        options[option] = value
    return SourceSpec(flag, name, expanded(path), options)


def expanded(text: str) -> Path:
    """A path with "~" as the home folder.

    Raises:
        UsageError: It begins with the home folder of somebody who has none.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: no home folder of that name; give the path in full") from error


def _without_suffix(name: str) -> str:
    for suffix in (*_SUFFIXES, *_SUFFIXES_OF_TABLES):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name
