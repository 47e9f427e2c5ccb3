"""The settings of a simulation."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.errors import UsageError
from tfgen.prior.simulation.truths import PUBLISHED, TruthKind, TruthSpec
from tfgen.prior.sumstats.munge_config import LARGEST_N, OUTPUT_ENDINGS

Scale = Literal["mean_f", "published"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

_LARGEST_PUBLISHED_LOG_SIGMA = 0.1

_SHAPE = ("truth_features", "truth_values", "truth_thresholds", "truth_preset", "truth_absolute")
_UNUSED: dict[str, tuple[str, ...]] = {
    "null": (*_SHAPE, "truth_model", "sd"),
    "constant": (*_SHAPE, "sd"),
    "linear": ("truth_thresholds", "truth_preset", "truth_absolute"),
    "enrichment": (),
    "ushape": ("truth_thresholds", "truth_preset", "truth_absolute"),
    "model": _SHAPE,
}
"""The settings that a truth does not look at."""


def _setting(help_text: str, *default: Any, **bounds: Any) -> Any:
    """A field with the help, and the bounds, of the flag of the same name."""
    metadata = {"help": help_text, **bounds}
    return field(default=default[0], metadata=metadata) if default else field(metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Everything that a user decides about a simulation; each field is a flag.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    ld: Path = _setting("LD store, as prior_build_ld.py writes it.")
    output: Path = _setting("Statistics to write, as prior_munge.py does: .tsv.gz, .parquet, ...")
    features: Path | None = _setting(
        "Feature store, as prior_features.py writes it; none for --truth=constant.", None
    )
    truth: TruthKind = _setting(
        "log f of a variant: constant; linear in standardised annotations; an enrichment, the sum "
        "of values where features are above thresholds; ushape, quadratic in one annotation with "
        "the product of two others; or a saved prior (--truth_model).",
        "enrichment",
    )
    truth_features: tuple[str, ...] = _setting(
        "Features of the truth by name; all of them by default, three annotations for ushape.", ()
    )
    truth_values: tuple[float, ...] = _setting(
        "Weight of each feature; by default drawn and scaled to --sd.", ()
    )
    truth_thresholds: tuple[float, ...] = _setting(
        "Threshold of each feature of an enrichment; by default its mean (0 for tracks).", ()
    )
    truth_preset: str = _setting(
        "Enrichments of the published simulations: published or published_wide, for absolute "
        "values of the first features.",
        "",
    )
    truth_absolute: bool = _setting(
        "Whether an enrichment takes the absolute values of annotations.", False
    )
    truth_model: Path | None = _setting("Folder of a saved prior, for --truth=model.", None)
    sd: float | None = _setting(
        "Standard deviation of log f that the features make; by default 1 with drawn values, and "
        "as it is with given ones.",
        None,
    )
    mean_f: float = _setting("Mean of f over all variants; 0 leaves it as it is.", 0.2, lower=0.0)
    freq_exponent: float = _setting("Exponent of 2p(1-p) in f; a model has its own.", 0.7)
    scale: Scale = _setting(
        "mean_f: as --mean_f says. published: log f = truth + log N - log M + log p(1-p), the "
        "scale of the published simulations.",
        "mean_f",
    )
    n_variants: int = _setting("M of --scale=published.", 3_000_000, lower=1)
    null: bool = _setting("No effects: f = 0, z is noise.", False)
    sigma: float = _setting("Variance of the noise on the z scale.", 1.0, lower=0.0)
    r_identity: bool = _setting("Without LD: R = I.", False)
    n: float = _setting("Sample size N, which turns z-scores into effects.", 407_527.0)
    seed: int = _setting("Seed of everything random.", 0, lower=0)
    overwrite: bool = _setting(
        "Replace an existing output, or a started one with other settings.", False
    )
    progress: ProgressMode = _setting("How progress is shown on stderr.", "auto")

    def __post_init__(self) -> None:
        for name, choices in (("scale", get_args(Scale)), ("progress", get_args(ProgressMode))):
            if getattr(self, name) not in choices:
                value = getattr(self, name)
                raise UsageError(f"{name} is {value!r}; use one of {', '.join(choices)}")
        for name, low in (("n", 1), ("sigma", 0), ("n_variants", 1), ("seed", 0)):
            value = getattr(self, name)
            if not low <= value < math.inf:
                raise UsageError(f"{name} is {value}; expected a number from {low}")
        if self.n > LARGEST_N:
            raise UsageError(f"n is {self.n}; expected at most {LARGEST_N:g}")
        self._check_use()
        if not math.isfinite(self.freq_exponent):
            raise UsageError(f"freq_exponent is {self.freq_exponent}; expected a number")
        if self.features is None and not (self.truth == "constant" or self.null):
            raise UsageError(f"truth {self.truth} needs --features, or use --truth=constant")
        if self.truth_preset and self.truth_preset not in PUBLISHED:
            raise UsageError(
                f"truth_preset is {self.truth_preset!r}; use one of {', '.join(PUBLISHED)}"
            )
        if self.output.suffix not in OUTPUT_ENDINGS:
            raise UsageError(
                f"{self.output}: unknown ending; use one of {', '.join(OUTPUT_ENDINGS)}"
            )
        _ = self.truth_spec

    def _check_use(self) -> None:
        """Stops at settings that the truth does not look at."""
        kind = "null" if self.null else self.truth
        for name in _UNUSED.get(kind, ()):
            value = getattr(self, name)
            if value is not None and value is not False and value not in ((), ""):
                what = "--null" if self.null else f"--truth={kind}"
                raise UsageError(f"{name} has no use with {what}; leave one of them out")

    @property
    def truth_spec(self) -> TruthSpec:
        """The truth that is wanted.

        The published simulations draw b in units of the noise, with the variance
        exp(truth) p(1-p) N / (M min(sigma, e^0.1)), and multiply effects and noise by
        sqrt(sigma); on the z scale sigma cancels but for that limit.
        """
        published = self.scale == "published"
        offset = 0.0
        if published:
            log_sigma = math.log(self.sigma) if self.sigma else -math.inf
            excess = max(0.0, log_sigma - _LARGEST_PUBLISHED_LOG_SIGMA)
            offset = math.log(self.n / self.n_variants) - math.log(2) + excess
        return TruthSpec(
            kind=self.truth,
            features=self.truth_features,
            values=self.truth_values,
            thresholds=self.truth_thresholds,
            preset=self.truth_preset,
            absolute=self.truth_absolute,
            sd=self.sd,
            mean_f=0.0 if published else self.mean_f,
            offset=offset,
            freq_exponent=1.0 if published else self.freq_exponent,
            seed=self.seed,
            model=self.truth_model,
        )
