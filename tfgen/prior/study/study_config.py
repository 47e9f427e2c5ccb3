"""The settings of the study that asks when larger priors help."""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.errors import UsageError

StudyTruth = Literal["ushape", "linear"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

ARCHITECTURES = ("linear", "mlp")
OBJECTIVES = ("mll", "ldsr")

_LEAST_FEATURES = 3  # one with the U, two that interact
_QUICK = {"seeds": 3, "mean_f": (0.5,), "control_mean_f": (), "epochs": 8}


def _setting(help_text: str, *default: Any, **bounds: Any) -> Any:
    """A field with the help, and the bounds, of the flag of the same name."""
    metadata = {"help": help_text, **bounds}
    return field(default=default[0], metadata=metadata) if default else field(metadata=metadata)


@dataclass(frozen=True)
class Setting:
    """One simulated data set.

    Attributes:
        truth: Form of the true log f.
        mean_f: Mean prior variance on the z scale.
        seed: Of features, effects, noise, starting weights and the order of blocks.
    """

    truth: str
    mean_f: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Everything that a user decides about a study; each field is a flag.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    output: Path = _setting("Folder for the results.")
    bed: Path | None = _setting(
        "Genotypes of a panel: a .bed file, or its name without .bed.", None
    )
    bim: Path | None = _setting("Variants of --bed, if not beside it; may be gzip.", None)
    fam: Path | None = _setting("People of --bed, if not beside it.", None)
    block_file: Path | None = _setting("LD blocks that do not overlap (BED), with --bed.", None)
    ld: Path | None = _setting(
        "LD store of blocks that do not overlap, as prior_build_ld.py writes it, instead of --bed.",
        None,
    )
    var_kept: float = _setting(
        "Share of the variance of a block of --bed to keep. The z-scores are drawn with what is "
        "kept, so that the LD is theirs at any value.",
        0.9999,
    )
    test_chrom: tuple[str, ...] = _setting(
        "Chromosomes on which the priors are judged and nothing is learned.", ("21", "22")
    )
    held_out_share: float = _setting(
        "Share of the other z-scores that choose epoch and learning rate.",
        0.15,
        lower=0.01,
        upper=0.9,
    )
    truths: tuple[str, ...] = _setting(
        "Forms of the true log f: ushape (quadratic in one annotation, plus the product of two "
        "others), linear (the control).",
        get_args(StudyTruth),
    )
    mean_f: tuple[float, ...] = _setting(
        "Mean prior variances on the z scale.", (0.02, 0.2, 0.5, 2.0)
    )
    control_mean_f: tuple[float, ...] = _setting(
        "Means at which the control (linear) is drawn; all of --mean_f if empty.", (0.5,)
    )
    seeds: int = _setting("Simulated data sets for each truth and mean.", 10, lower=1)
    sd: float = _setting("Standard deviation of the true log f over variants.", 1.0)
    n_features: int = _setting(
        "Annotations, standard normal; three of them matter.", 8, lower=_LEAST_FEATURES
    )
    hidden: tuple[int, ...] = _setting("Widths of the dense layers of the mlp.", (32, 32))
    rates: tuple[float, ...] = _setting(
        "Learning rates; that with the best held-out likelihood is kept.", (0.003, 0.01, 0.03)
    )
    epochs: int = _setting("Most passes over the training blocks.", 30, lower=1)
    patience: int = _setting(
        "Epochs without a better held-out likelihood after which a fit stops.", 4, lower=1
    )
    blocks_per_step: int = _setting("Blocks behind one update.", 4, lower=1)
    quick: bool = _setting(
        "A first look: 3 seeds, a mean of 0.5 and 8 epochs, whatever the flags for these say.",
        False,
    )
    jobs: int = _setting(
        "Processes, each with one thread; 0 works in this one.", 2, lower=0, upper=256
    )
    overwrite: bool = _setting(
        "Replace an existing output, or a started one with other settings.", False
    )
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")

    def __post_init__(self) -> None:
        for truth in self.truths:
            if truth not in get_args(StudyTruth):
                raise UsageError(
                    f"truths has {truth!r}; use one of {', '.join(get_args(StudyTruth))}"
                )
        for name in ("truths", "mean_f", "rates", "hidden", "test_chrom"):
            values = getattr(self, name)
            if not values or (len(set(values)) < len(values) and name != "hidden"):
                raise UsageError(f"{name} is {values}; expected one or more, none of them twice")
        for name in ("mean_f", "control_mean_f", "rates", "hidden"):
            if not all(0 < value < math.inf for value in getattr(self, name)):
                raise UsageError(f"{name} is {getattr(self, name)}; expected numbers above 0")
        if not 0 < self.sd < math.inf:
            raise UsageError(f"sd is {self.sd}; expected a number above 0")
        if not 0 < self.var_kept <= 1:
            raise UsageError(f"var_kept is {self.var_kept}; expected a share above 0")
        self._check_panel()

    def _check_panel(self) -> None:
        if (self.ld is None) == (self.bed is None):
            raise UsageError("give either the LD (--ld) or the panel to make it of (--bed)")
        if self.bed is not None and self.block_file is None:
            raise UsageError("--bed needs --block_file, the LD blocks of its population")
        for name in ("bim", "fam", "block_file"):
            if self.ld is not None and getattr(self, name) is not None:
                raise UsageError(f"--{name} has no use with --ld; leave it out")

    @property
    def effective(self) -> "StudyConfig":
        """The settings after `quick` had its say."""
        if not self.quick:
            return self
        return dataclasses.replace(self, **_QUICK)  # type: ignore[arg-type]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The data sets, seed by seed: what there is of a stopped study is balanced."""
        return tuple(
            Setting(truth, mean_f, seed)
            for seed in range(self.seeds)
            for truth in self.truths
            for mean_f in self.means_of(truth)
        )

    def means_of(self, truth: str) -> tuple[float, ...]:
        """Mean prior variances at which a truth is drawn."""
        return self.control_mean_f or self.mean_f if truth == "linear" else self.mean_f

    @property
    def fits_per_setting(self) -> int:
        """Fits to one data set."""
        return len(ARCHITECTURES) * len(OBJECTIVES) * len(self.rates)

    def deciding(self) -> dict[str, Any]:
        """The settings that decide the results, in the types of JSON, but for the LD."""
        names = (
            *("truths", "mean_f", "control_mean_f", "seeds", "sd", "n_features", "hidden"),
            *("rates", "epochs", "patience", "blocks_per_step", "test_chrom", "held_out_share"),
        )
        values = {name: getattr(self, name) for name in names}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
