"""A trained prior on disk: which model stands for which block."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfgen.errors import InputFormatError, UnsupportedInputError
from tfgen.prior.heads.head_config import TraitScale

PRIOR_JSON = "prior.json"
"""The file by which a folder is known to be a trained prior."""

FORMAT_VERSION = "1.0"


@dataclass(frozen=True)
class PriorFold:
    """One model of a cross-fitted prior.

    Attributes:
        name: Its folder below `folds`.
        test: Blocks whose statistics it never saw.
    """

    name: str
    test: tuple[str, ...]


@dataclass(frozen=True)
class PriorIndex:
    """What a trained prior consists of.

    Attributes:
        traits: The traits, in the order of the columns of every model.
        build: Genome build of the LD store.
        ld_digest: Digest of the LD store.
        features_digest: Digest of the feature store, or "".
        folds: The models.
    """

    traits: tuple[TraitScale, ...]
    build: str
    ld_digest: str
    features_digest: str
    folds: tuple[PriorFold, ...]

    @property
    def fold_of(self) -> dict[str, str]:
        """The model that never saw a block, by the name of the block."""
        return {block: fold.name for fold in self.folds for block in fold.test}

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> "PriorIndex":
        """Reads the index of a folder.

        Raises:
            InputFormatError: No trained prior.
            UnsupportedInputError: Written in a format of another major version.
        """
        path = folder / PRIOR_JSON
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            version = str(value["format_version"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputFormatError(
                f"{path}: cannot be read ({error}); expected a folder that prior_train.py wrote"
            ) from error
        if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise UnsupportedInputError(
                f"{path}: format version {version}, but this tfgen reads {FORMAT_VERSION}; use the "
                "tfgen that wrote it"
            )
        try:
            return cls(
                traits=tuple(TraitScale.from_json(trait) for trait in value["traits"]),
                build=str(value["build"]),
                ld_digest=str(value["ld_digest"]),
                features_digest=str(value["features_digest"]),
                folds=tuple(_fold(fold) for fold in value["folds"]),
            )
        except InputFormatError as error:
            raise InputFormatError(f"{path}: {error}; train the prior again") from error
        except (KeyError, TypeError, OverflowError) as error:
            raise InputFormatError(
                f"{path}: is damaged ({error}); train the prior again"
            ) from error


def _fold(value: Mapping[str, Any]) -> PriorFold:
    name, test = value["name"], value["test"]
    is_plain = isinstance(name, str) and name and not name.startswith(".")
    if not is_plain or any(character in name for character in "/\\\0"):
        raise InputFormatError(f"fold {name!r}: is no name of a folder")
    if not isinstance(test, list) or not all(isinstance(block, str) for block in test):
        raise InputFormatError(f"fold {name!r}: test is {test!r}; expected names of blocks")
    return PriorFold(name, tuple(test))
