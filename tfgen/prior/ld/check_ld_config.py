"""The settings of a comparison of LD stores."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfgen.errors import UsageError

ProgressMode = Literal["auto", "bar", "lines", "none"]


def _setting(help_text: str, *default: Any, **bounds: Any) -> Any:
    """A field with the help, and the bounds, of the flag of the same name."""
    metadata = {"help": help_text, **bounds}
    return field(default=default[0], metadata=metadata) if default else field(metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class CheckLdConfig:
    """Which LD stores are compared on which statistics; each field is a flag.

    Raises:
        UsageError: There is no store, or one comes twice.
    """

    ld: tuple[str, ...] = _setting("LD stores, for example of several --var_kept and --shrink.")
    traits: tuple[str, ...] = _setting("NAME=PATH of munged statistics, one or more.")
    output: Path | None = _setting("Also write the table to this file (TSV).", None)
    overwrite: bool = _setting("Replace an existing output.", False)
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")

    def __post_init__(self) -> None:
        if not self.ld or len(set(self.ld)) < len(self.ld):
            raise UsageError("ld: give one or more LD stores, each once")
