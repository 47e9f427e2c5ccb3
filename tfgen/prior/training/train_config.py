"""The settings of a training run."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfgen.errors import UsageError
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.training.fit_options import FitOptions, StrategyName

ProgressMode = Literal["auto", "bar", "lines", "none"]


def _setting(help_text: str, *default: Any, **bounds: Any) -> Any:
    """A field with the help, and the bounds, of the flag of the same name."""
    metadata = {"help": help_text, **bounds}
    return field(default=default[0], metadata=metadata) if default else field(metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What is trained, on what, and where it goes.

    Attributes:
        ld: LD store.
        traits: NAME=PATH of munged statistics.
        output: Folder of the trained prior.
        features: Feature store; none for a constant prior.
        folds: `none`, `chrom`, `oddeven` or `blocks:K`.
        test_chrom: Chromosomes that are not learned from.
        held_out_share: Share of the training z-scores that decide when to stop.
        n_variants: Number M that heritability is spread over; 0 takes the observed variants.
        strategy: Devices.
        replicas: CPU devices for `mirrored` without a GPU.
        tensorboard: Also write TensorBoard events.
        cache_gb: Memory for blocks.
        overwrite: Replace the output.
        progress: How progress is shown.
        head: Architecture.
        fit: Objective and optimisation.

    Raises:
        UsageError: Settings contradict each other.
    """

    ld: Path = _setting("LD store, as prior_build_ld.py writes it.")
    traits: tuple[str, ...] = _setting("NAME=PATH of munged statistics, one or more.")
    output: Path = _setting("Folder for the prior.")
    features: Path | None = _setting("Feature store, as prior_features.py writes it.", None)
    folds: str = _setting(
        "Cross-fitting: none, chrom (each chromosome is scored by a prior that never saw it), "
        "oddeven, or blocks:K (K contiguous groups of LD blocks).",
        "none",
    )
    test_chrom: tuple[str, ...] = _setting("Chromosomes kept out of everything.", ())
    held_out_share: float = _setting(
        "Share of the training z-scores that decide when to stop.", 0.15, lower=0.0, upper=0.5
    )
    n_variants: int = _setting(
        "Number of variants that heritability is spread over; 0: those observed.", 0, lower=0
    )
    strategy: StrategyName = _setting("Devices: one, all of this machine, or TF_CONFIG's.", "one")
    replicas: int = _setting("CPU devices for --strategy=mirrored without a GPU.", 2, lower=1)
    tensorboard: bool = _setting("Also write TensorBoard events.", False)
    cache_gb: float = _setting("Memory for blocks, in gigabytes.", 4.0, lower=0.0)
    overwrite: bool = _setting("Replace an existing output.", False)
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")
    head: HeadConfig = field(default_factory=HeadConfig)
    fit: FitOptions = field(default_factory=FitOptions)

    def __post_init__(self) -> None:
        if self.features is None and self.head.arch != "constant":
            raise UsageError(
                f"arch {self.head.arch} needs --features; give a feature store or --arch=constant"
            )

    def deciding(self) -> dict[str, Any]:
        """The settings that decide the result, in the types of JSON."""
        return {
            "head": self.head.to_json(),
            "fit": dataclasses.asdict(self.fit),
            "folds": self.folds,
            "test_chrom": list(self.test_chrom),
            "held_out_share": self.held_out_share,
            "n_variants": self.n_variants,
        }
