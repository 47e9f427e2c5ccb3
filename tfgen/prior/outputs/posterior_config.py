"""The settings of a table of posterior effects."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ProgressMode = Literal["auto", "bar", "lines", "none"]


def _setting(help_text: str, *default: Any, **bounds: Any) -> Any:
    """A field with the help, and the bounds, of the flag of the same name."""
    metadata = {"help": help_text, **bounds}
    return field(default=default[0], metadata=metadata) if default else field(metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class PosteriorConfig:
    """Whose effects are estimated, from what, and where they go; each field is a flag."""

    prior: Path = _setting("Trained prior, as prior_train.py writes it.")
    ld: Path = _setting("LD store.")
    traits: tuple[str, ...] = _setting("NAME=PATH of munged statistics, with names of the prior.")
    output: Path = _setting("Table, as X.tsv.gz or X.parquet. With several traits X.TRAIT.tsv.gz.")
    features: Path | None = _setting("Feature store, if the prior reads features.", None)
    in_sample: bool = _setting(
        "Also use the prior for blocks that it was fitted to: the data are used twice.", False
    )
    allow_mismatch: bool = _setting(
        "Write effects although LD, noise and z-scores do not belong together.", False
    )
    micro_batch: int = _setting("Variants that go through the network at once.", 8192, lower=1)
    overwrite: bool = _setting("Replace an existing output.", False)
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")
