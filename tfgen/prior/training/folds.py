"""Which blocks a prior learns from, which decide when it stops, and which it never sees.

A fold is a set of test blocks. Its prior uses no statistic of theirs: neither they nor blocks that
overlap them (sliding windows share variants) are learned from or held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfgen.errors import UsageError
from tfgen.prior.training.block_data import BlockSize

_GOLDEN = 0.3819660112501051  # steps of this share of a circle never meet


@dataclass(frozen=True)
class Fold:
    """One fit of a cross-fitted prior.

    Attributes:
        name: `all`, `chr6`, `odd`, `group0`, ...
        training: Blocks to learn from.
        held_out: Blocks that decide when to stop.
        test: Blocks that are not seen; the prior of their variants comes from this fold.
        dropped: Blocks that are none of these, because they overlap test or held-out blocks.
    """

    name: str
    training: tuple[int, ...]
    held_out: tuple[int, ...]
    test: tuple[int, ...]
    dropped: tuple[int, ...]


def make_folds(
    sizes: Sequence[BlockSize],
    scheme: str,
    test_chroms: Sequence[str] = (),
    held_out_share: float = 0.15,
) -> tuple[Fold, ...]:
    """Divides blocks into folds.

    Args:
        sizes: The blocks in genome order.
        scheme: `none`: one fold that tests `test_chroms`, possibly none. `chrom`: each chromosome
            is the test of one fold. `oddeven`: the odd ones, then the even ones. `blocks:K`: K
            contiguous groups of blocks with nearly equal numbers of z-scores.
        test_chroms: With `none` the chromosomes to test on; with other schemes they are left out of
            everything.
        held_out_share: Share of the other z-scores that decide when to stop: one contiguous stretch
            of blocks. 0 holds none out.

    Raises:
        UsageError: There is no such scheme or chromosome, or a fold has nothing to learn from.
    """
    chroms = list(dict.fromkeys(size.chrom for size in sizes))
    absent = [chrom for chrom in test_chroms if chrom not in chroms]
    if absent:
        raise UsageError(
            f"test_chrom {absent[0]} has no block; there are blocks of {', '.join(chroms)}"
        )
    if not 0 <= held_out_share <= 0.5:  # noqa: PLR2004
        raise UsageError(f"held_out_share is {held_out_share}; expected 0 to 0.5")
    groups = _test_groups(sizes, scheme, tuple(test_chroms), chroms)
    rest = {i for i, size in enumerate(sizes) if size.chrom not in test_chroms}
    folds = []
    for number, (name, test) in enumerate(groups):
        pool = sorted(rest - set(test))
        fold = _fold(sizes, name, test, pool, held_out_share, number)
        if not any(sizes[i].n_observed for i in fold.training):
            raise UsageError(
                f"fold {name} has nothing to learn from; use fewer chromosomes for the test, or "
                "--folds=blocks:K with a larger K"
            )
        folds.append(fold)
    return tuple(folds)


def _test_groups(
    sizes: Sequence[BlockSize], scheme: str, test_chroms: tuple[str, ...], chroms: list[str]
) -> list[tuple[str, tuple[int, ...]]]:
    """Name and test blocks of every fold."""
    of_chrom = {c: tuple(i for i, s in enumerate(sizes) if s.chrom == c) for c in chroms}
    kept = [chrom for chrom in chroms if chrom not in test_chroms]
    if scheme == "none":
        return [("all", tuple(i for chrom in test_chroms for i in of_chrom[chrom]))]
    if scheme == "chrom":
        return [(f"chr{chrom}", of_chrom[chrom]) for chrom in kept]
    if scheme == "oddeven":
        parity = {chrom: int(chrom) % 2 if chrom.isdecimal() else 0 for chrom in kept}
        return [
            (name, tuple(i for chrom in kept if parity[chrom] == odd for i in of_chrom[chrom]))
            for name, odd in (("odd", 1), ("even", 0))
        ]
    word, _, number = scheme.partition(":")
    if word == "blocks" and number.isdecimal() and int(number) > 1:
        blocks = [i for chrom in kept for i in of_chrom[chrom]]
        parts = _contiguous(sizes, blocks, int(number))
        return [(f"group{i}", part) for i, part in enumerate(parts)]
    raise UsageError(
        f"folds is {scheme!r}; use none, chrom, oddeven or blocks:K with K of 2 or more"
    )


def _contiguous(sizes: Sequence[BlockSize], blocks: list[int], parts: int) -> list[tuple[int, ...]]:
    """Cuts blocks into contiguous parts of nearly equal numbers of z-scores."""
    if len(blocks) < parts:
        raise UsageError(f"{len(blocks)} blocks cannot be cut into {parts} groups; use fewer")
    weights = np.array([sizes[i].n_observed for i in blocks], np.float64)
    middles = np.cumsum(weights) - weights / 2
    group = np.minimum((middles / max(1.0, weights.sum()) * parts).astype(int), parts - 1)
    # Every part gets a block, whatever the weights: no number is left out, none comes too late.
    last = -1
    for i in range(len(blocks)):
        last = int(min(max(group[i], last, parts - len(blocks) + i, 0), last + 1))
        group[i] = last
    return [tuple(b for b, g in zip(blocks, group, strict=True) if g == k) for k in range(parts)]


def _fold(
    sizes: Sequence[BlockSize],
    name: str,
    test: tuple[int, ...],
    pool: list[int],
    held_out_share: float,
    number: int,
) -> Fold:
    """Chooses a stretch to hold out, another one for every fold, and drops what overlaps."""
    clear = [i for i in pool if not _overlaps(sizes, i, test)]
    held_out: tuple[int, ...] = ()
    if held_out_share > 0 and len(clear) > 1:
        held_out = _stretch(sizes, clear, held_out_share, number)
    training = tuple(i for i in clear if i not in held_out and not _overlaps(sizes, i, held_out))
    used = {*training, *held_out, *test}
    return Fold(name, training, held_out, test, tuple(i for i in pool if i not in used))


def _stretch(
    sizes: Sequence[BlockSize], blocks: list[int], share: float, number: int
) -> tuple[int, ...]:
    """A contiguous share of the z-scores, at another place for every fold; at least one block."""
    weights = np.array([sizes[i].n_observed for i in blocks], np.float64)
    middles = (np.cumsum(weights) - weights / 2) / max(1.0, weights.sum())
    first = (0.5 + number * _GOLDEN) % 1 * (1 - share)
    chosen = np.flatnonzero((first <= middles) & (middles < first + share))
    if not weights[chosen].sum():
        # No block, or none with a z-score, has its middle there: the nearest that has one.
        distance = np.where(weights > 0, np.abs(middles - first - share / 2), np.inf)
        chosen = np.array([int(distance.argmin())])
    return tuple(blocks[i] for i in chosen)


def _overlaps(sizes: Sequence[BlockSize], block: int, others: Sequence[int]) -> bool:
    here = sizes[block]
    return any(
        sizes[i].chrom == here.chrom and here.start < sizes[i].end and sizes[i].start < here.end
        for i in others
    )
