"""The settings of scoring variants with a trained prior."""

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
class ScorePriorConfig:
    """Which variants are scored with which prior, and where that goes; each field is a flag.

    Raises:
        UsageError: A value has no meaning.
    """

    prior: Path = _setting("Trained prior, as prior_train.py writes it.")
    variants: Path = _setting(
        "Variants: LD store, .bim, .vcf[.gz], or a table or .parquet with CHR SNP BP A1 A2."
    )
    output: Path = _setting(
        "Table with SNPVAR, as X.snpvar.gz or X.parquet. With several traits X.TRAIT.snpvar.gz."
    )
    features: Path | None = _setting("Feature store, if the prior reads features.", None)
    ld: Path | None = _setting(
        "LD store, for frequencies that the list lacks. A cross-fitted prior of an older format "
        "needs that of its training, which tells the block of a variant.",
        None,
    )
    traits: tuple[str, ...] = _setting(
        "NAME=PATH of munged statistics for the columns Z and N.", ()
    )
    trait: str = _setting("The one trait to write; all by default.", "")
    constrain: bool = _setting(
        "Also write X.snpvar_constrained.gz, max / min at most --max_ratio with the same sum.", True
    )
    max_ratio: float = _setting("Largest over smallest SNPVAR when constrained.", 100.0, lower=1.0)
    max_rejected_fraction: float = _setting(
        "Largest share of variants without a row in the output.", 0.05, lower=0.0, upper=1.0
    )
    micro_batch: int = _setting("Variants that go through the network at once.", 8192, lower=1)
    overwrite: bool = _setting("Replace an existing output.", False)
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")

    def __post_init__(self) -> None:
        if not self.max_ratio >= 1:
            raise UsageError(f"max_ratio is {self.max_ratio}; expected 1 or more")
        if not 0 <= self.max_rejected_fraction <= 1:
            raise UsageError(
                f"max_rejected_fraction is {self.max_rejected_fraction}; expected a share from 0 "
                "to 1"
            )
        if self.micro_batch < 1:
            raise UsageError(f"micro_batch is {self.micro_batch}; expected 1 or more")
