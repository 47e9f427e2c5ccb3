"""The sources of a feature store: opened, described, and asked for the values of variants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError
from tfgen.genome import VariantTable
from tfgen.io import input_fingerprint
from tfgen.prior.features import (
    annot_files,
    bed_features,
    distance_features,
    table_columns,
)
from tfgen.prior.features.bigwig_bins import BigwigSignal, Bins, base_bins, symmetric_bins
from tfgen.prior.features.features_config import FeaturesConfig
from tfgen.prior.features.keyed_values import Floats
from tfgen.prior.features.panel_columns import FrequencySource, LdScoreSource, ld_store_digest
from tfgen.prior.features.score_columns import ScoreSource
from tfgen.prior.features.source_specs import SourceSpec, parse_source

_OPTIONS: dict[str, Collection[str]] = {
    "annot": annot_files.OPTIONS,
    "bed": bed_features.OPTIONS,
    "distance_to": distance_features.OPTIONS,
    "table": table_columns.OPTIONS,
}
_KEYED = (annot_files.AnnotSource, table_columns.TableSource, ScoreSource)
_KINDS = ("annot", "bed", "bigwig", "scores", "distance_to", "table")


class FeatureSource(Protocol):
    """Some columns of the store.

    Attributes:
        columns: Their names.
        signed: Whether the values change their sign with the counted allele.
        files: The files that they are made from.
        warnings: What the user should know.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def signed(self) -> bool:
        """Whether the values change their sign with the counted allele."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the columns are made from."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What the user should know."""
        ...

    def values(self, variants: VariantTable) -> Floats:
        """The columns of given variants [m, columns] float32, NaN where missing."""
        ...


@dataclass(frozen=True)
class FeatureSources:
    """All sources of a run.

    Attributes:
        annotations: Sources of annotations, in the order of the columns.
        tracks: Signals that are kept base by base.
        bins: Offsets of the positions of tracks, half-open.
        described: What identifies each source, in the types of JSON.
        fingerprints: Path, size and sha256 of every input file.
    """

    annotations: tuple[FeatureSource, ...]
    tracks: tuple[BigwigSignal, ...]
    bins: Bins
    described: tuple[Mapping[str, object], ...]
    fingerprints: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the annotations."""
        return tuple(name for source in self.annotations for name in source.columns)

    @property
    def signed(self) -> tuple[bool, ...]:
        """Whether an annotation changes its sign with the counted allele."""
        return tuple(source.signed for source in self.annotations for _ in source.columns)

    @property
    def track_names(self) -> tuple[str, ...]:
        """Names of the tracks."""
        return tuple(source.name for source in self.tracks)

    @property
    def extras(self) -> dict[str, npt.NDArray[Any]]:
        """Further arrays to be kept with the features."""
        found: dict[str, npt.NDArray[Any]] = {}
        for source in self.annotations:
            found |= getattr(source, "extras", {})
        return found

    @property
    def warnings(self) -> list[str]:
        """What the user should know."""
        return [
            warning for source in (*self.annotations, *self.tracks) for warning in source.warnings
        ]

    def require_matches(self, variants: VariantTable) -> None:
        """Stops when a file whose rows are variants has none of those of the list.

        Intervals and signal are not asked: where they are absent is a value too.

        Raises:
            InputMismatchError: A file has none.
        """
        for source in self.annotations:
            if isinstance(source, _KEYED):
                source.require_match(variants)

    def piece(self, variants: VariantTable) -> dict[str, npt.NDArray[Any]]:
        """The features of some variants.

        Returns:
            `annotations` [m, A] float32 and, if there are tracks, `tracks` [m, L, T] float32.
        """
        parts = [source.values(variants) for source in self.annotations]
        empty = np.empty((len(variants), 0), np.float32)
        piece: dict[str, npt.NDArray[Any]] = {
            "annotations": np.concatenate([empty, *parts], axis=1)
        }
        if self.tracks:
            piece["tracks"] = np.stack([track.values(variants) for track in self.tracks], axis=2)
        return piece


def source_specs(config: FeaturesConfig) -> list[SourceSpec]:
    """Every source that was given with a path, in the order of the columns.

    Raises:
        UsageError: One cannot be understood.
    """
    return [
        parse_source(kind, text, _OPTIONS.get(kind, ()))
        for kind in _KINDS
        for text in getattr(config, kind)
    ]


def open_sources(
    config: FeaturesConfig, specs: Sequence[SourceSpec], contigs: Sequence[str]
) -> FeatureSources:
    """Opens all sources.

    Args:
        config: The settings.
        specs: The sources with a path.
        contigs: Contigs of the variants.

    Raises:
        UsageError: Two columns of one name.
        InputFormatError: A file cannot be read.
        InputMismatchError: A file does not fit the variants.
    """
    bins = base_bins(config.window)
    annotations: list[FeatureSource] = []
    tracks: list[BigwigSignal] = []
    described: list[Mapping[str, object]] = []
    fingerprints: dict[str, Mapping[str, object]] = {}
    for spec in specs:
        in_window = spec.flag == "bigwig" and config.bigwig_mode == "window"
        if in_window:
            tracks.append(BigwigSignal(spec, bins, config.bigwig_transform, contigs))
        else:
            annotations.append(_open(config, spec, contigs))
        files = (tracks if in_window else annotations)[-1].files
        marks = _fingerprints(files)
        fingerprints |= marks
        described.append(_description(config, spec, marks))
    if config.maf or config.log_af:
        annotations.append(FrequencySource(config.maf, config.log_af))
    if config.ld_store is not None:
        described.append({"kind": "ld_store", "sha256": ld_store_digest(config.ld_store)})
        if config.ld_score:
            annotations.append(LdScoreSource(config.ld_store))
    sources = FeatureSources(
        tuple(annotations), tuple(tracks), bins if tracks else (), tuple(described), fingerprints
    )
    for names in (sources.names, sources.track_names):
        repeated = [name for name in names if names.count(name) > 1] if _repeats(names) else []
        if repeated:
            raise UsageError(
                f"two columns are called {repeated[0]!r}; tell the sources apart by a name: "
                "NAME=PATH"
            )
    return sources


def _open(config: FeaturesConfig, spec: SourceSpec, contigs: Sequence[str]) -> FeatureSource:
    """One source of annotations."""
    if spec.flag == "annot":
        return annot_files.AnnotSource(spec, contigs)
    if spec.flag == "bed":
        return bed_features.BedSource(spec, contigs)
    if spec.flag == "bigwig":
        bins = symmetric_bins(config.bin_widths)
        return BigwigSignal(spec, bins, config.bigwig_transform, contigs)
    if spec.flag == "distance_to":
        return distance_features.DistanceSource(spec, contigs)
    if spec.flag == "table":
        return table_columns.TableSource(spec)
    return ScoreSource(
        spec, config.score_statistic, config.tracks, config.score_components, config.score_abs
    )


def _description(
    config: FeaturesConfig, spec: SourceSpec, marks: Mapping[str, Mapping[str, object]]
) -> Mapping[str, object]:
    """What determines the values of a source, without its paths."""
    described: dict[str, object] = {
        "kind": spec.flag,
        "name": spec.stem,
        "options": dict(spec.options),
        "sha256": [mark["sha256"] for mark in marks.values()],
    }
    if spec.flag == "bigwig":
        shape = config.bin_widths if config.bigwig_mode == "bins" else config.window
        described |= {"mode": config.bigwig_mode, "bins": shape}
        described["transform"] = config.bigwig_transform
    if spec.flag == "scores":
        described |= {
            "statistic": config.score_statistic,
            "tracks": config.tracks or "all",
            "components": config.score_components,
            "absolute": config.score_abs,
        }
    return described


def _fingerprints(files: Sequence[Path]) -> dict[str, Mapping[str, object]]:
    return {str(path): input_fingerprint(path) for path in files}


def _repeats(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)
