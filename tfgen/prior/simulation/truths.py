"""Known truths for simulations: log f of a variant as a function of its features. NumPy only.

    log f = c + scale x(features) + freq_exponent log(2p(1-p))

f is the variance of an effect on the z scale, x one of a few responses, and the intercept c is such
that the mean of f over all variants is what was asked for.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.heads.standardise import Standardiser

TruthKind = Literal["constant", "linear", "enrichment", "ushape", "model"]

ENRICHMENT_WINDOW: Final = 16
"""Central positions of a track that an enrichment sums."""

LARGEST_U: Final = 3.0
"""Standardised annotations of a `ushape` are cut to this size: its square would run away."""

_U_FEATURES = 3
_U_VALUES = (1.0, 1.0)
_WEIGHTS_KEY = 0x7275  # of the seeds of weights that are drawn

Floats = npt.NDArray[np.float64]
Response = Callable[["TruthInputs"], Floats]


@dataclass(frozen=True)
class Enrichments:
    """Categories of an enrichment by the number of their feature.

    Attributes:
        indices: Features, tracks first, then annotations.
        values: Change of log f above each threshold.
        thresholds: Thresholds.
    """

    indices: tuple[int, ...]
    values: tuple[float, ...]
    thresholds: tuple[float, ...]


PUBLISHED: Final[Mapping[str, Enrichments]] = MappingProxyType(
    {
        "published": Enrichments(
            (0, 1, 2, 3, 4, 5),
            (-5.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            (-0.12, 0.0, 0.001, -0.001, 0.001, -0.001),
        ),
        "published_wide": Enrichments(
            (0, 2, 7, 12), (0.7, 0.5, 1.37, 0.5), (0.0, 0.0, -20.0, -10.0)
        ),
    }
)
"""Defaults of the published simulations (arXiv:2506.19598): those of their settings, and those of
their architecture. They count the absolute values of annotations."""


@dataclass(frozen=True)
class TruthSpec:
    """What truth is wanted; `fit_truth` makes it one for given variants.

    Attributes:
        kind: `constant`: the same for all variants. `linear`: weights on standardised annotations.
            `enrichment`: a sum of `values` where features are above `thresholds`, raw. `ushape`:
            values[0] (s^2 - 1) / sqrt(2) of one standardised annotation plus values[1] times the
            product of two others. `model`: a saved prior.
        features: Names of features; all of them by default, for `ushape` the three annotations
            with the most different values.
        values: One per feature (two for `ushape`); by default drawn from a normal distribution
            (1 and 1 for `ushape`).
        thresholds: One per feature; by default the mean of an annotation, 0 for a track.
        preset: A key of `PUBLISHED` instead of the three above, "" for none.
        absolute: Whether an enrichment takes the absolute values of annotations.
        sd: Standard deviation over variants to which the features' part of log f is scaled; None
            leaves values that were given, presets and models, and makes those that were drawn 1.
        mean_f: Mean of f over all variants; 0 takes `offset` as the intercept instead.
        offset: Intercept where `mean_f` is 0.
        freq_exponent: Exponent of 2p(1-p) in f; a model has its own.
        seed: Of values that are drawn.
        model: Folder of the saved prior.

    Raises:
        UsageError: Settings contradict each other.
    """

    kind: TruthKind = "linear"
    features: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    preset: str = ""
    absolute: bool = False
    sd: float | None = None
    mean_f: float = 0.2
    offset: float = 0.0
    freq_exponent: float = 0.0
    seed: int = 0
    model: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TruthKind):
            raise UsageError(f"truth {self.kind!r}; use one of {', '.join(get_args(TruthKind))}")
        if (self.kind == "model") != (self.model is not None):
            raise UsageError("truth model and the folder of a model go together; give both")
        for name in ("mean_f", "sd"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} is {value}; expected a number from 0")
        if not all(map(math.isfinite, (*self.values, *self.thresholds, self.offset))):
            raise UsageError(
                "a value, threshold or offset of the truth is not finite; give numbers"
            )
        self._check_lists()

    def _check_lists(self) -> None:
        if self.preset:
            if self.preset not in PUBLISHED or self.kind != "enrichment":
                raise UsageError(
                    f"preset {self.preset!r} of truth {self.kind}; expected truth enrichment and "
                    f"one of {', '.join(PUBLISHED)}"
                )
            if self.features or self.values or self.thresholds:
                raise UsageError("a preset has its own features, values and thresholds; drop one")
        if self.thresholds and self.kind != "enrichment":
            raise UsageError(f"truth {self.kind} has no thresholds; leave them out")
        if self.kind == "ushape":
            if len(self.features) not in (0, _U_FEATURES) or len(self.values) not in (0, 2):
                raise UsageError(
                    f"truth ushape has {len(self.features)} features and {len(self.values)} "
                    "values; expected three features and two values"
                )
            return
        for name in ("values", "thresholds"):
            given = len(getattr(self, name))
            if given and given != len(self.features):
                raise UsageError(
                    f"truth: {given} {name} for {len(self.features)} features; name as many"
                )


@dataclass(frozen=True)
class TruthInputs:
    """The features of n variants.

    Attributes:
        annotations: Raw annotations [n, A], NaN where missing.
        frequency: Of either allele [n]; None only for a truth that does not depend on it.
        tracks: Raw signal [n, L, T], NaN where missing; None without tracks.
    """

    annotations: npt.NDArray[Any]
    frequency: npt.NDArray[Any] | None = None
    tracks: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class Truth:
    """A truth for variants with given features.

    Attributes:
        spec: What was asked for.
        intercept: c of the formula above.
        scale: What the response is multiplied by.
        description: Its numbers in the types of JSON: names, values, thresholds, ...
    """

    spec: TruthSpec
    intercept: float
    scale: float
    description: Mapping[str, Any]
    _response: Response = field(repr=False)

    def log_f(
        self,
        annotations: npt.NDArray[Any],
        frequency: npt.NDArray[Any] | None = None,
        tracks: npt.NDArray[Any] | None = None,
    ) -> Floats:
        """Log f of variants.

        Args:
            annotations: Raw annotations in the order of the features [n, A]; NaN is missing and
                counts as the mean, or as below every threshold.
            frequency: Of either allele [n]; may be None where f does not depend on it.
            tracks: Raw signal [n, L, T].

        Returns:
            [n] float64.

        Raises:
            InputFormatError: A frequency is needed and not between 0 and 1.
        """
        inputs = TruthInputs(annotations, frequency, tracks)
        x = self.intercept + self.scale * self._response(inputs)
        return x + _frequency_part(self.spec, inputs)


def fit_truth(spec: TruthSpec, shape: FeatureShape, batches: Iterable[TruthInputs]) -> Truth:
    """Standardises, scales and calibrates a truth over all variants.

    Args:
        spec: What is wanted.
        shape: Names of the features.
        batches: The features of all variants, in pieces; gone through several times, so no
            generator.

    Raises:
        UsageError: The features do not suit the truth, or do not vary although `sd` is given.
        InputFormatError: A frequency is needed and not between 0 and 1, or there is no variant.
        InputMismatchError: The model reads features that are not there.
    """
    response, numbers = _response_of(spec, shape, batches)
    parts = [(response(inputs), _frequency_part(spec, inputs)) for inputs in batches]
    x = np.concatenate([part[0] for part in parts])
    frequency_part = np.concatenate([part[1] for part in parts])
    if not len(x):
        raise InputFormatError("no variants to calibrate the truth with; give some")
    drawn = spec.kind in ("linear", "enrichment") and not (spec.values or spec.preset)
    sd = 1.0 if drawn and spec.sd is None else spec.sd
    scale = 1.0
    if sd is not None and spec.kind != "constant":
        if not np.std(x) > 0:
            raise UsageError(
                f"truth {spec.kind}: its features are the same for all variants, so that log f "
                f"cannot get a standard deviation of {sd:g}; choose other features"
            )
        scale = float(sd / np.std(x))
    whole = scale * x + frequency_part
    intercept = spec.offset
    if spec.mean_f:
        largest = float(whole.max())
        intercept = math.log(spec.mean_f) - largest - math.log(np.exp(whole - largest).mean())
    description = {
        "kind": spec.kind,
        **numbers,
        "scale": scale,
        "intercept": intercept,
        "freq_exponent": _exponent(spec),
    }
    return Truth(spec, intercept, scale, description, response)


def _exponent(spec: TruthSpec) -> float:
    return 0.0 if spec.kind == "model" else spec.freq_exponent


def _frequency_part(spec: TruthSpec, inputs: TruthInputs) -> Floats:
    """The part of log f that allele frequency has [n]."""
    exponent, n = _exponent(spec), len(inputs.annotations)
    if not exponent:
        return np.zeros(n)
    p = np.full(n, np.nan) if inputs.frequency is None else np.asarray(inputs.frequency, np.float64)
    bad = np.flatnonzero(~((p > 0) & (p < 1)))
    if bad.size:
        raise InputFormatError(
            f"{bad.size} of {n} variants have no allele frequency between 0 and 1, the first at "
            f"index {bad[0]} ({p[bad[0]]}); leave them out or set freq_exponent to 0"
        )
    return exponent * np.log(2 * p * (1 - p))


def _response_of(
    spec: TruthSpec, shape: FeatureShape, batches: Iterable[TruthInputs]
) -> tuple[Response, dict[str, Any]]:
    """The response, before scale and intercept, and its numbers in the types of JSON."""
    match spec.kind:
        case "constant":
            return (lambda inputs: np.zeros(len(inputs.annotations))), {}
        case "model":
            return _model(spec, shape)
        case "linear":
            return _linear(spec, _standardiser(shape, batches))
        case "ushape":
            first = next(iter(batches)).annotations
            return _ushape(spec, _standardiser(shape, batches), first)
        case _:
            return _enrichment(spec, shape, batches)


def _standardiser(shape: FeatureShape, batches: Iterable[TruthInputs]) -> Standardiser:
    """Of the annotations; the truths that standardise read no tracks."""
    own = FeatureShape(shape.annotation_names)
    return Standardiser.fit(((inputs.annotations, None) for inputs in batches), own)


def _standardised(standardiser: Standardiser, columns: npt.NDArray[np.int64]) -> Response:
    """Chosen annotations, standardised, 0 where missing [n, columns]."""

    def values(inputs: TruthInputs) -> Floats:
        return standardiser.apply_annotations(inputs.annotations)[:, columns].astype(np.float64)

    return values


def _linear(spec: TruthSpec, standardiser: Standardiser) -> tuple[Response, dict[str, Any]]:
    names = spec.features or standardiser.shape.annotation_names
    columns = _columns(names, standardiser.shape.annotation_names)
    weights = _values(spec, len(names))
    standardised = _standardised(standardiser, columns)
    return (
        lambda inputs: standardised(inputs) @ weights,
        {"features": list(names), "values": weights.tolist()},
    )


def _ushape(
    spec: TruthSpec, standardiser: Standardiser, first: npt.NDArray[Any]
) -> tuple[Response, dict[str, Any]]:
    known = standardiser.shape.annotation_names
    names = spec.features
    if not names:
        # In a feature of two values a U is a line.
        different = [len(np.unique(column[~np.isnan(column)])) for column in first.T]
        order = np.argsort(-np.array(different), kind="stable")
        names = tuple(known[i] for i in order[:_U_FEATURES])
    if len(names) < _U_FEATURES:
        raise UsageError(f"truth ushape needs three annotations; there are {len(known)}")
    standardised = _standardised(standardiser, _columns(names, known))
    bend, together = spec.values or _U_VALUES

    def response(inputs: TruthInputs) -> Floats:
        s = np.clip(standardised(inputs), -LARGEST_U, LARGEST_U)
        return bend * (s[:, 0] ** 2 - 1) / math.sqrt(2) + together * s[:, 1] * s[:, 2]

    return response, {"features": list(names), "values": [bend, together]}


def _enrichment(
    spec: TruthSpec, shape: FeatureShape, batches: Iterable[TruthInputs]
) -> tuple[Response, dict[str, Any]]:
    known = (*shape.track_names, *shape.annotation_names)
    names, values, absolute = spec.features or known, spec.values, spec.absolute
    thresholds: Sequence[float] = spec.thresholds
    if spec.preset:
        preset = PUBLISHED[spec.preset]
        if max(preset.indices) >= len(known):
            raise UsageError(
                f"preset {spec.preset} reads feature {max(preset.indices)} and there are "
                f"{len(known)}, counted from 0; add features or choose another truth"
            )
        names, absolute = tuple(known[i] for i in preset.indices), True
        values, thresholds = preset.values, preset.thresholds
    columns = _columns(names, known)
    if not thresholds:
        means = np.zeros(len(known))
        means[shape.n_tracks :] = _standardiser(shape, batches).annotations.mean
        thresholds = means[columns].tolist()
    limits = np.array(thresholds)
    weights = np.array(values) if values else _values(spec, len(names))

    def response(inputs: TruthInputs) -> Floats:
        annotations = np.abs(inputs.annotations) if absolute else inputs.annotations
        above = _central(inputs, shape, annotations)[:, columns] > limits
        return above.astype(np.float64) @ weights

    numbers = {"features": list(names), "values": weights.tolist(), "absolute": absolute}
    return response, {**numbers, "thresholds": limits.tolist()}


def _central(
    inputs: TruthInputs, shape: FeatureShape, annotations: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Sums of the tracks around the variants, then the annotations [n, T + A]."""
    if not shape.n_tracks or inputs.tracks is None:
        return annotations
    start = max(0, (shape.length - ENRICHMENT_WINDOW) // 2)
    central = inputs.tracks[:, start : start + ENRICHMENT_WINDOW].sum(axis=1)
    return np.concatenate([central, annotations], axis=1)


def _model(spec: TruthSpec, shape: FeatureShape) -> tuple[Response, dict[str, Any]]:
    # Only here is TensorFlow needed.
    from tfgen.prior.heads.saved_prior import load_saved_prior

    prior = load_saved_prior(Path(spec.model or ""))
    wanted = prior.card.shape
    columns = _columns(wanted.annotation_names, shape.annotation_names, str(spec.model))
    tracks = _columns(wanted.track_names, shape.track_names, str(spec.model))

    def response(inputs: TruthInputs) -> Floats:
        signal = None if inputs.tracks is None or not len(tracks) else inputs.tracks[:, :, tracks]
        found = prior.log_f(inputs.annotations[:, columns], signal, inputs.frequency)
        return found[:, 0].astype(np.float64)

    return response, {"model": prior.card.digest, "trait": prior.card.traits[0].name}


def _columns(names: Sequence[str], known: Sequence[str], reader: str = "") -> npt.NDArray[np.int64]:
    """Place of each name among the known ones.

    Raises:
        UsageError: A feature that was asked for is not there.
        InputMismatchError: The same, where a model asks.
    """
    missing = [name for name in names if name not in known]
    if missing:
        found = ", ".join(known[:6]) or "none"
        text = f"no feature {missing[0]!r}; there are {found}{', ...' if len(known) > 6 else ''}"  # noqa: PLR2004
        if reader:
            raise InputMismatchError(f"{reader}: {text}; build the features it was trained on")
        raise UsageError(f"truth: {text}; the truth reads features by their names")
    if not names and not reader:
        raise UsageError("truth: there are no features; add some or use the truth constant")
    return np.array([list(known).index(name) for name in names], np.int64)


def _values(spec: TruthSpec, n: int) -> Floats:
    """The values that were given, or as many drawn ones [n]."""
    if spec.values:
        return np.array(spec.values)
    seeds = np.random.SeedSequence(spec.seed, spawn_key=(_WEIGHTS_KEY,))
    return np.random.default_rng(seeds).standard_normal(n)
