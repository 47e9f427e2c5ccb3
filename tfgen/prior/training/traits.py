"""Summary statistics on the variants of an LD store."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import AlleleMatch, join_variants
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.sumstats.munged import MungedStats, read_munged

_N_EXAMPLES = 3
_UNFIT = re.compile(r"[\s/\\]")


@dataclass(frozen=True)
class Trait:
    """One trait on the blocks of a store.

    Attributes:
        name: Its name.
        n_eff: Median sample size over the matched variants.
        z: By block, z-scores of the counted alleles of the store [n] float64; NaN outside the
            centre and where the trait has none.
        counts: How the variants of the store matched: `same`, `swapped`, `complement`,
            `complement_swapped`, `other_alleles`, `missing`, and `unused`, those of the statistics
            that the store does not have.
    """

    name: str
    n_eff: float
    z: Mapping[str, npt.NDArray[np.float64]]
    counts: Mapping[str, int]

    @property
    def n_matched(self) -> int:
        """Variants of the store with a z-score."""
        return sum(self.counts[match.name.lower()] for match in AlleleMatch if match.sign)


def parse_traits(words: Sequence[str]) -> dict[str, Path]:
    """Files by trait name, from NAME=PATH or PATH.

    Raises:
        UsageError: Two traits have one name, there is none, or one is no part of a file name.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        file = Path(path if equals else word).expanduser()
        name = name if equals else file.name.partition(".")[0]
        if not name or name in found:
            raise UsageError(f"traits: {name!r} comes twice or is empty; give NAME=PATH for each")
        if name.startswith(".") or not name.isprintable() or _UNFIT.search(name):
            raise UsageError(
                f"traits: the name {name!r} would be part of file names; expected no blanks, "
                "slashes and backslashes, and no dot at its beginning; give NAME=PATH"
            )
        found[name] = file
    if not found:
        raise UsageError("traits: none given; expected NAME=PATH of munged statistics")
    return found


def read_traits(store: LdStore, files: Mapping[str, Path]) -> tuple[Trait, ...]:
    """Reads munged statistics and brings them to the alleles of a store.

    Raises:
        InputMismatchError: A trait has no variant of the store.
        InputFormatError: A file is not what `prior_munge.py` writes, or has a variant twice.
    """
    return tuple(align_trait(store, name, read_munged(path), path) for name, path in files.items())


def align_trait(store: LdStore, name: str, stats: MungedStats, path: Path | str = "") -> Trait:
    """One trait on the variants of a store.

    Raises:
        InputMismatchError: It has no variant of the store.
        InputFormatError: It has a variant twice.
    """
    where = str(path) or name
    variants = store.variants
    join = join_variants(variants, stats.variants, where)
    found = join.found
    if not found.any():
        theirs = ", ".join(stats.variants.label(i) for i in range(min(_N_EXAMPLES, len(stats))))
        ours = ", ".join(variants.label(i) for i in range(min(_N_EXAMPLES, len(variants))))
        raise InputMismatchError(
            f"{where}: no variant of {store.path}; the one has {theirs or 'none'}, the other {ours}"
        )
    z = np.full(len(variants), np.nan)
    z[found] = stats.z[join.rows[found]] * join.signs[found]
    counts = {
        match.name.lower(): int(np.count_nonzero(join.match[found] == match))
        for match in AlleleMatch
        if match.sign
    }
    counts["other_alleles"] = int(np.count_nonzero(join.other_alleles))
    counts["missing"] = int(np.count_nonzero(~found & ~join.other_alleles))
    counts["unused"] = len(stats) - int(np.count_nonzero(found))
    n_eff = float(np.median(stats.n[join.rows[found]]))
    return Trait(name, n_eff, _by_block(store, z), counts)


def _by_block(store: LdStore, z: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """Divides the z-scores of `store.variants` among the centres of the blocks."""
    result = {}
    start = 0
    for info in store.blocks:
        _, in_centre = store.read_variants(info.id)
        values = np.full(info.n, np.nan)
        values[in_centre] = z[start : start + info.w]
        start += info.w
        result[info.id] = values
    return result
