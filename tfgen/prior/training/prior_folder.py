"""A trained prior on disk: which model stands for which block."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tfgen.errors import InputFormatError, UnsupportedInputError
from tfgen.prior.heads.head_config import TraitScale
from tfgen.prior.ld.ld_block import BlockInfo
from tfgen.prior.training.block_data import BlockSize
from tfgen.prior.training.folds import Fold

PRIOR_JSON = "prior.json"
"""The file by which a folder is known to be a trained prior."""

FORMAT_VERSION = "1.1"

_LONGEST = 1 << 60  # more than any contig has, less than 64 bits


class Stretch(Protocol):
    """A stretch of a contig, 0-based and half-open."""

    @property
    def chrom(self) -> str:
        """Contig."""
        ...

    @property
    def start(self) -> int:
        """First base."""
        ...

    @property
    def end(self) -> int:
        """Behind the last base."""
        ...


class BlockPlace(NamedTuple):
    """Where a block of the training lies, 0-based and half-open.

    Attributes:
        chrom: Contig.
        start: First base.
        end: Behind the last base.
        centre_start: First base of the part whose variants are observed.
        centre_end: Behind the last base of that part.
    """

    chrom: str
    start: int
    end: int
    centre_start: int
    centre_end: int


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
        kept_out: Blocks that are the test of no fold, and that no fold learned from or stopped by:
            those of --test_chrom where there are several folds.
        blocks: The blocks with observed variants; none in a prior of format 1.0.
    """

    traits: tuple[TraitScale, ...]
    build: str
    ld_digest: str
    features_digest: str
    folds: tuple[PriorFold, ...]
    kept_out: tuple[str, ...] = ()
    blocks: Mapping[str, BlockPlace] = field(default_factory=dict)

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
                kept_out=_names(value.get("kept_out", []), "kept_out"),
                blocks=_places(value.get("blocks", {})),
            )
        except InputFormatError as error:
            raise InputFormatError(f"{path}: {error}; train the prior again") from error
        except (KeyError, TypeError, OverflowError) as error:
            raise InputFormatError(
                f"{path}: is damaged ({error}); train the prior again"
            ) from error


def block_places(blocks: Iterable[BlockInfo]) -> dict[str, BlockPlace]:
    """Where the blocks with observed variants lie, by name."""
    return {
        b.id: BlockPlace(b.chrom, b.start, b.end, b.centre_start, b.centre_end)
        for b in blocks
        if b.w
    }


def kept_out_blocks(sizes: Sequence[BlockSize], folds: Sequence[Fold]) -> tuple[str, ...]:
    """Names of the blocks that are no test, and that no fold learned from or stopped by.

    Nor do they overlap a block that one did.

    Args:
        sizes: The blocks of the training.
        folds: Its folds.
    """
    tests = {i for fold in folds for i in fold.test}
    used = {i for fold in folds for i in (*fold.training, *fold.held_out)}
    seen = [sizes[i] for i in sorted(used)]
    return tuple(
        size.id
        for i, size in enumerate(sizes)
        if i not in tests | used and not any(overlap(size, other) for other in seen)
    )


def overlap(one: Stretch, other: Stretch) -> bool:
    """Whether two stretches share a base."""
    return one.chrom == other.chrom and one.start < other.end and other.start < one.end


def _fold(value: Mapping[str, Any]) -> PriorFold:
    name = value["name"]
    is_plain = isinstance(name, str) and name and not name.startswith(".")
    if not is_plain or any(character in name for character in "/\\\0"):
        raise InputFormatError(f"fold {name!r}: is no name of a folder")
    return PriorFold(name, _names(value["test"], f"fold {name!r}: test"))


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(block, str) for block in value):
        raise InputFormatError(f"{where} is {value!r}; expected names of blocks")
    return tuple(value)


def _places(value: object) -> dict[str, BlockPlace]:
    if not isinstance(value, dict):
        raise InputFormatError(f"blocks is {value!r}; expected an object with a list per block")
    return {name: _place(name, row) for name, row in value.items()}


def _place(name: str, row: object) -> BlockPlace:
    if not (
        isinstance(row, list)
        and len(row) == len(BlockPlace._fields)
        and isinstance(row[0], str)
        and all(type(x) is int and 0 <= x < _LONGEST for x in row[1:])
    ):
        raise InputFormatError(
            f"block {name!r}: is {row!r}; expected a contig, start, end, and those of the centre"
        )
    return BlockPlace(*row)
