"""What decides a model of the prior: architecture, features and traits. Nothing is computed here.

A model gives log f, the logarithm of the prior variance of a variant's effect on the z scale, one
column per trait.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from tfgen.errors import InputFormatError, UsageError

Architecture = Literal["constant", "linear", "enrichment", "mlp", "conv", "transformer"]
Link = Literal["exp", "softplus", "relu"]
FrequencyMode = Literal["off", "fixed", "trained"]

LINK_FLOOR = 1e-5
"""Least value of the softplus and relu links, before the logarithm."""

FREQUENCY_FLOOR = 1e-5
"""Least minor-allele frequency that the frequency term tells from zero."""

POSITION_COLUMNS = 6
"""Three families of position functions, each also times the sign of the distance."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "arch": get_args(Architecture),
    "link": get_args(Link),
    "freq_mode": get_args(FrequencyMode),
}
_AT_LEAST_ONE = ("dim", "heads", "depth", "target_length", "enrich_window")
_NEEDS_TRACKS = ("conv", "transformer")


def _setting(help_text: str, default: Any) -> Any:
    """A field with the help of the flag of the same name."""
    return dataclasses.field(default=default, metadata={"help": help_text})


@dataclasses.dataclass(frozen=True)
class FeatureShape:
    """The features of a variant, by name.

    Attributes:
        annotation_names: Names of the scalar annotations, in order (A of them).
        track_names: Names of the signals along the sequence, in order (T of them).
        length: Positions of every track around the variant (L); 0 without tracks.
    """

    annotation_names: tuple[str, ...] = ()
    track_names: tuple[str, ...] = ()
    length: int = 0

    def __post_init__(self) -> None:
        for kind, names in (("annotation", self.annotation_names), ("track", self.track_names)):
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise UsageError(
                    f"{kind} {double[0]!r} comes twice; give every {kind} its own name"
                )
        if (self.length > 0) != bool(self.track_names) or self.length < 0:
            raise UsageError(
                f"{len(self.track_names)} tracks of {self.length} positions; expected at least one "
                "position with tracks, and 0 without"
            )

    @property
    def n_annotations(self) -> int:
        """Number of annotations, A."""
        return len(self.annotation_names)

    @property
    def n_tracks(self) -> int:
        """Number of tracks, T."""
        return len(self.track_names)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, read back by `from_json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The shape written by `to_json`.

        Raises:
            InputFormatError: Entries are unknown, missing, of the wrong kind or contradictory.
        """
        return from_json(cls, value, cls(("",), ("",), 1), "features")


@dataclasses.dataclass(frozen=True)
class TraitScale:
    """What turns the variance of an effect into one on the z scale, for one trait.

    Attributes:
        name: Name of the trait.
        n_eff: Effective sample size N of the association study.
        n_variants: Number of variants M that heritability is spread over.
    """

    name: str
    n_eff: float
    n_variants: float

    def __post_init__(self) -> None:
        for name in ("n_eff", "n_variants"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(
                    f"trait {self.name!r}: {name} is {value}; expected a number above 0"
                )

    @property
    def log_scale(self) -> float:
        """Log N - log M: log f of a variant whose share of the heritability is 1/M."""
        return math.log(self.n_eff) - math.log(self.n_variants)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, read back by `from_json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The scale written by `to_json`.

        Raises:
            InputFormatError: Entries are unknown, missing, of the wrong kind or out of range.
        """
        return from_json(cls, value, cls("", 1.0, 1.0), "trait")


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """Architecture of log f(C), the function of a variant's features C.

    log f = log N - log M + gamma log(2p(1-p)) + clip(h(C)), where N and M belong to the trait, p is
    the frequency of an allele, and h(C) is the logarithm of the link of what the network gives.

    Attributes:
        arch: `constant`: one number per trait. `linear`: a weighted sum of the features.
            `enrichment`: a sum of one value for each feature above its threshold. `mlp`: dense
            layers. `conv` and `transformer`: networks over the tracks, to which the annotations are
            added.
        link: From the network's output x to f: `exp` gives h = x, `softplus` and `relu` give
            h = log(max(link(x), 1e-5)).
        hidden: Widths of the dense layers of `mlp`, and of those above the `conv` network.
        dropout: Share of values that training sets to zero. In a `transformer` it is that of the
            residual branches; attention weights (0.05), position features (0.01) and the last
            layer (0.05) have theirs unless this is 0.
        dim: Width of `conv` and `transformer`; the stem of a transformer has half of it.
        heads: Attention heads.
        depth: Blocks of the `transformer`, or of `conv`.
        target_length: Positions that a `transformer` attends over; the tracks have this length
            times 4, 8, 16, ...
        average_tracks: Whether `linear` and `mlp` see the mean of each track, or all its positions.
        enrich_indices: Features of `enrichment`: the tracks are counted first, summed over the
            central `enrich_window` positions, then the annotations. Raw features, not standardised;
            a missing value is above no threshold.
        enrich_values: Change of the network's output above each threshold (where training starts).
        enrich_thresholds: Thresholds, in units of the features.
        enrich_window: Positions in the centre of a track that are summed.
        enrich_trained: Whether the values are trained, or are a known truth.
        freq_mode: Whether the exponent gamma of 2p(1-p) is 0, `freq_exponent`, or trained from
            there, one for each trait.
        freq_exponent: gamma. 0.7 means that the variance of per-allele effects goes with
            [2p(1-p)]^-0.3. None counts as `off`.
        clip: Largest |h|. Beyond it f is constant and training gets no gradient, which
            `PriorModel.count_clipped` reports.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    arch: Architecture = _setting("Architecture of the prior.", "linear")
    link: Link = _setting("From the output of the network to the variance.", "exp")
    hidden: tuple[int, ...] = _setting("Widths of dense layers.", (64, 64))
    dropout: float = _setting("Share of values that training sets to zero.", 0.0)
    dim: int = _setting("Width of the convolution or transformer network.", 96)
    heads: int = _setting("Attention heads.", 2)
    depth: int = _setting("Blocks of the convolution or transformer network.", 2)
    target_length: int = _setting("Positions that the transformer attends over.", 32)
    average_tracks: bool = _setting("Use the mean of each track instead of all positions.", True)
    enrich_indices: tuple[int, ...] = _setting("Features with an enrichment.", ())
    enrich_values: tuple[float, ...] = _setting("Change of log f above each threshold.", ())
    enrich_thresholds: tuple[float, ...] = _setting("Threshold of each feature.", ())
    enrich_window: int = _setting("Central positions of a track that are summed.", 16)
    enrich_trained: bool = _setting("Whether the enrichments are trained.", True)
    freq_mode: FrequencyMode = _setting("Exponent of 2p(1-p) in the variance.", "fixed")
    freq_exponent: float | None = _setting("Exponent of 2p(1-p), or its start in training.", 0.7)
    clip: float = _setting("Largest absolute value of the network's part of log f.", 15.0)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                value = getattr(self, name)
                raise UsageError(f"{name} is {value!r}; use one of {', '.join(choices)}")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if any(width < 1 for width in self.hidden):
            raise UsageError(f"hidden is {self.hidden}; expected widths of 1 or more")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a share from 0 to below 1")
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise UsageError(f"clip is {self.clip}; expected a number above 0")
        if self.freq_exponent is None:
            object.__setattr__(self, "freq_mode", "off")
        elif not math.isfinite(self.freq_exponent):
            raise UsageError(f"freq_exponent is {self.freq_exponent}; expected a number")
        if self.arch == "transformer":
            self._check_widths()
        if self.arch == "enrichment":
            self._check_enrichment()

    def _check_widths(self) -> None:
        step = math.lcm(2, self.heads * POSITION_COLUMNS)
        if self.dim % step:
            raise UsageError(
                f"dim is {self.dim}; with {self.heads} heads of {POSITION_COLUMNS} position "
                f"families it must be a multiple of {step}"
            )

    def _check_enrichment(self) -> None:
        lengths = [
            len(getattr(self, f"enrich_{name}")) for name in ("indices", "values", "thresholds")
        ]
        if not lengths[0] or len(set(lengths)) > 1:
            raise UsageError(
                f"enrichment has {lengths[0]} indices, {lengths[1]} values and {lengths[2]} "
                "thresholds; expected one of each for at least one feature"
            )
        numbers = (*self.enrich_values, *self.enrich_thresholds)
        if not all(math.isfinite(number) for number in numbers):
            raise UsageError("enrichment has a value or threshold that is not finite; give numbers")

    def check_shape(self, shape: FeatureShape) -> None:
        """Stops where an architecture cannot read features of this shape.

        Raises:
            UsageError: It needs tracks, tracks of another length, or features that are not there.
        """
        n_features = shape.n_annotations + shape.n_tracks
        if self.arch in _NEEDS_TRACKS and not shape.track_names:
            raise UsageError(
                f"arch {self.arch} reads tracks and the features have none; make them with "
                "prior_features.py --bigwig_mode=window, or use linear or mlp"
            )
        if self.arch != "constant" and not n_features:
            raise UsageError(f"arch {self.arch} reads features and there are none; use constant")
        if self.arch == "transformer":
            transformer_halvings(shape.length, self.target_length)
        if self.arch == "enrichment":
            outside = [i for i in self.enrich_indices if not 0 <= i < n_features]
            if outside:
                raise UsageError(
                    f"enrich_indices has {outside[0]}; expected 0 to {n_features - 1}, "
                    f"{shape.n_tracks} tracks and then {shape.n_annotations} annotations"
                )
            if shape.length and self.enrich_window > shape.length:
                raise UsageError(
                    f"enrich_window is {self.enrich_window}; the tracks have {shape.length} "
                    "positions"
                )

    def to_json(self) -> dict[str, Any]:
        """As JSON values, read back by `from_json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The configuration written by `to_json`.

        Raises:
            InputFormatError: Entries are unknown, missing, of the wrong kind or contradictory.
        """
        like = cls(enrich_indices=(0,), enrich_values=(0.0,), enrich_thresholds=(0.0,))
        return from_json(cls, value, like, "config")


def transformer_halvings(length: int, target_length: int) -> int:
    """How often a transformer halves tracks of `length` to get `target_length` positions.

    Raises:
        UsageError: No whole number of at least two halvings does.
    """
    halvings = 0
    while target_length << halvings < length:
        halvings += 1
    if target_length << halvings != length or halvings < 2:  # noqa: PLR2004  stem and last stage
        raise UsageError(
            f"the tracks have {length} positions, which two or more halvings cannot bring to the "
            f"target_length {target_length}; make it a quarter, an eighth, ... of {length}"
        )
    return halvings


UPSTREAM_UKB = HeadConfig(
    arch="transformer",
    dropout=0.4,
    dim=1536,
    heads=2,
    depth=2,
    target_length=32,
    freq_mode="off",
)
"""The largest published transformer (arXiv:2506.19598): tracks of 256 positions, 52,087,809
parameters for 174 features. Allele frequency is one of its annotations."""

UPSTREAM_SMALL = dataclasses.replace(UPSTREAM_UKB, dim=384)
"""The smallest published transformer: 3,843,201 parameters for 174 features."""

PRESETS = {"upstream_ukb": UPSTREAM_UKB, "upstream_small": UPSTREAM_SMALL}


def from_json(cls: type[Any], value: Mapping[str, Any], like: Any, what: str) -> Any:
    """A dataclass of plain values from the JSON of its `to_json`.

    Args:
        cls: The dataclass.
        value: What JSON gave.
        like: An instance with an example in every tuple.
        what: Name for messages.

    Raises:
        InputFormatError: Entries are unknown, missing, of the wrong kind or contradictory.
    """
    if not isinstance(value, Mapping):
        raise InputFormatError(f"{what}: found {value!r}; expected named entries")
    names = {field.name for field in dataclasses.fields(cls)}
    unknown, missing = sorted(set(value) - names), sorted(names - set(value))
    if unknown or missing:
        raise InputFormatError(f"{what}: unknown entries {unknown}, missing entries {missing}")
    for name, item in value.items():
        example = getattr(like, name)
        if not _is_like(item, example) and not (item is None and name == "freq_exponent"):
            raise InputFormatError(f"{what}: {name} is {item!r}; expected a value like {example!r}")
    lists = {name: tuple(item) for name, item in value.items() if isinstance(item, list)}
    try:
        return cls(**{**value, **lists})
    except UsageError as error:
        raise InputFormatError(f"{what}: {error}") from error


def _is_like(value: object, example: object) -> bool:
    """Whether a JSON value has the kind of an example."""
    match example:
        case (first, *_):
            return isinstance(value, list | tuple) and all(_is_like(item, first) for item in value)
        case float():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return type(value) is type(example)
