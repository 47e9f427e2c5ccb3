"""`model.json`: what a saved prior says about itself, read without TensorFlow."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.io import sha256_files, write_json
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, TraitScale

CARD_NAME = "model.json"
FORMAT_VERSION = 1
ARCHITECTURE = "functional-prior"

_N_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What one needs to know to use a saved prior.

    Attributes:
        config: Architecture.
        shape: Features, by name.
        traits: Scales of the traits, in the order of the output's columns.
        sigma: Noise variance on the z scale of every trait; 1 without confounding.
        build: Genome build of the variants that it was trained on, for example "GRCh37"; "" if
            unknown.
        standardiser: What was constant, absent or sometimes missing in training.
        training: How it was trained: JSON values.
        digest: `model_digest` of the model.
        sha256: Digest of all files of the folder but this one and hidden ones.
    """

    config: HeadConfig
    shape: FeatureShape
    traits: tuple[TraitScale, ...]
    sigma: tuple[float, ...]
    build: str = ""
    standardiser: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.sigma) != len(self.traits):
            raise UsageError(
                f"sigma has {len(self.sigma)} values for {len(self.traits)} traits; give one for "
                "each"
            )
        for trait, sigma in zip(self.traits, self.sigma, strict=True):
            if not (math.isfinite(sigma) and sigma > 0):
                raise UsageError(f"sigma of {trait.name!r} is {sigma}; expected a number above 0")

    def write(self, folder: Path) -> None:
        """Writes the card of a finished model folder, with the digest of its files."""
        length, tracks = self.shape.length, self.shape.n_tracks
        inputs = {
            "annotations": f"[n, {self.shape.n_annotations}] float32, NaN = missing",
            "frequency": "[n] float32, of either allele",
        }
        if tracks:
            inputs["tracks"] = f"[n, {length}, {tracks}] float32, NaN = missing"
        write_json(
            folder / CARD_NAME,
            {
                "format_version": FORMAT_VERSION,
                "architecture": ARCHITECTURE,
                "tfgen": __version__,
                "config": self.config.to_json(),
                "features": self.shape.to_json(),
                "traits": [trait.to_json() for trait in self.traits],
                "sigma": list(self.sigma),
                "build": self.build,
                "signature": {
                    "name": "log_f",
                    "inputs": inputs,
                    "output": f"log_f [n, {len(self.traits)}] float32, log of the prior variance "
                    "of the effect on the z scale",
                },
                "standardiser": dict(self.standardiser),
                "training": dict(self.training),
                "digest": self.digest,
                "sha256": _digest(folder),
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card of a model folder.

        Raises:
            InputFormatError: The card is missing, malformed, contradicts itself, or is of another
                format version.
        """
        path = folder / CARD_NAME
        value = _read_json(path)
        version = value.get("format_version")
        if version != FORMAT_VERSION:
            raise InputFormatError(
                f"{path}: format version {version}, this tfgen ({__version__}) reads "
                f"{FORMAT_VERSION}; use the tfgen version that wrote it ({value.get('tfgen')})"
            )
        try:
            sigma = _entry(value, "sigma", list)
            if any(type(item) not in (int, float) for item in sigma):
                raise InputFormatError(f"sigma is {sigma}; expected numbers")
            return cls(
                config=HeadConfig.from_json(_entry(value, "config", dict)),
                shape=FeatureShape.from_json(_entry(value, "features", dict)),
                traits=tuple(TraitScale.from_json(t) for t in _entry(value, "traits", list)),
                sigma=tuple(float(item) for item in sigma),
                build=_entry(value, "build", str),
                standardiser=_entry(value, "standardiser", dict),
                training=_entry(value, "training", dict),
                digest=_entry(value, "digest", str),
                sha256=_entry(value, "sha256", str),
            )
        except (InputFormatError, UsageError) as error:
            raise InputFormatError(f"{path}: {error}; copy or train the model again") from error

    def verify(self, folder: Path) -> None:
        """Checks the files of the folder against the card.

        Raises:
            InputMismatchError: A file is not as it was written.
        """
        found = _digest(folder)
        if found != self.sha256:
            raise InputMismatchError(
                f"{folder}: its files do not have the digest in {CARD_NAME} ({found[:12]}, "
                f"expected {self.sha256[:12]}): they changed or were copied incompletely; copy or "
                "train the model again"
            )


def select_features(card: ModelCard, available_names: Sequence[str]) -> npt.NDArray[np.intp]:
    """Columns of the annotations that a model reads, in its order.

    Args:
        card: Of the model.
        available_names: Annotations of a feature store, in any order.

    Returns:
        Index of each annotation of the model in `available_names` [A].

    Raises:
        InputMismatchError: An annotation is missing or comes twice.
    """
    return _columns("annotation", card.shape.annotation_names, available_names)


def select_tracks(
    card: ModelCard, available_names: Sequence[str], length: int
) -> npt.NDArray[np.intp]:
    """Columns of the tracks that a model reads, in its order.

    Args:
        card: Of the model.
        available_names: Tracks of a feature store, in any order.
        length: Positions of its tracks; any for a model without tracks.

    Returns:
        Index of each track of the model in `available_names` [T].

    Raises:
        InputMismatchError: A track is missing or comes twice, or they have another length.
    """
    columns = _columns("track", card.shape.track_names, available_names)
    if columns.size and length != card.shape.length:
        raise InputMismatchError(
            f"the tracks have {length} positions, the model reads {card.shape.length}; make the "
            f"features with --window={card.shape.length}"
        )
    return columns


def _columns(kind: str, names: Sequence[str], available: Sequence[str]) -> npt.NDArray[np.intp]:
    index = {name: column for column, name in enumerate(available)}
    missing = [name for name in names if name not in index]
    if missing:
        more = ", ..." if len(missing) > _N_EXAMPLES else ""
        raise InputMismatchError(
            f"{len(missing)} of the {len(names)} {kind}s that the model reads are not among the "
            f"{len(available)} features given: {', '.join(missing[:_N_EXAMPLES])}{more}; make the "
            "features from the sources that it was trained on"
        )
    double = next((name for name in names if list(available).count(name) > 1), None)
    if double is not None:
        raise InputMismatchError(f"{kind} {double!r} comes twice among the features; keep one")
    return np.array([index[name] for name in names], np.intp)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputFormatError(
            f"{path}: not found; expected the folder of a trained prior"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputFormatError(
            f"{path}: not valid JSON: {error}; copy or train the model again"
        ) from error
    if not isinstance(value, dict) or value.get("architecture") != ARCHITECTURE:
        raise InputFormatError(
            f"{path}: does not describe a functional prior; expected the entry "
            f'"architecture": "{ARCHITECTURE}"'
        )
    return value


def _entry(value: Mapping[str, Any], name: str, kind: type) -> Any:
    # The exact type: JSON's true would pass as an int.
    if type(value.get(name)) is not kind:
        raise InputFormatError(f"entry {name!r} is missing or no {kind.__name__}")
    return value[name]


def _digest(folder: Path) -> str:
    """Digest of the model's files; hidden ones are left by file browsers and file systems."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    own = [name for name in names if name != CARD_NAME and not Path(name).name.startswith(".")]
    return sha256_files(folder, own)
