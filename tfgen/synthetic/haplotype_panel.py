"""A panel of people whose genotypes have realistic LD and allele frequencies. NumPy only.

A chromosome is a row of segments. Within a segment founder haplotypes have a random coalescent tree
(Kingman, 1982, doi:10.1016/0304-4149(82)90011-4), on whose branches mutations fall, so
that frequencies are skewed to rare alleles and many variants are in strong LD. From one segment to
the next some founders change their places in the tree. Every haplotype of a person is a mosaic of
founders (Li and Stephens, 2003, doi:10.1093/genetics/165.4.2213) and begins anew with every LD
block, so that there is no LD between blocks but that of a finite sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError

CHANGE_OF_PLACES: Final = 0.25
"""Share of founders that change their places in the tree from one segment to the next."""

SWITCH: Final = 0.05
"""Probability that a haplotype goes on with another founder after a segment."""

_LEAST_COPIES = 2
_TRIES = 1000

Alleles = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tree:
    """A random coalescent tree of founders.

    Attributes:
        clades: Which founders are below each branch [branches, founders] bool.
        lengths: Length of each branch [branches].
    """

    clades: Bools
    lengths: npt.NDArray[np.float64]


def random_tree(n_founders: int, rng: np.random.Generator) -> Tree:
    """Draws a coalescent tree; branches above a single founder or above all carry no variants.

    Args:
        n_founders: Number of founders.
        rng: Random numbers.
    """
    active = [np.eye(n_founders, dtype=bool)[i] for i in range(n_founders)]
    born = [0.0] * n_founders
    clades, lengths, time = [], [], 0.0
    for n_lines in range(n_founders, 1, -1):
        time += rng.exponential(2 / (n_lines * (n_lines - 1)))
        first, second = sorted(rng.choice(n_lines, 2, replace=False).tolist())
        for index in (first, second):
            clades.append(active[index])
            lengths.append(time - born[index])
        active[first], born[first] = active[first] | active[second], time
        del active[second], born[second]
    return Tree(np.stack(clades), np.array(lengths))


def founder_haplotypes(
    size: int, n_founders: int, segment: int, min_frequency: float, rng: np.random.Generator
) -> Alleles:
    """Draws haplotypes of founders in one LD block.

    Args:
        size: Number of variants.
        n_founders: Number of founders.
        segment: Most variants of a segment.
        min_frequency: Least frequency of the rarer allele among the founders.
        rng: Random numbers.

    Returns:
        0 or 1 [founders, variants].

    Raises:
        UsageError: No variant of so few founders can be as frequent.
    """
    haplotypes = np.empty((n_founders, size), np.int8)
    tree, places = _usable_tree(n_founders, min_frequency, rng), rng.permutation(n_founders)
    for start in range(0, size, segment):
        n = min(segment, size - start)
        branches = rng.choice(len(tree.lengths), n, p=tree.lengths / tree.lengths.sum())
        haplotypes[:, start : start + n] = tree.clades[branches][:, places].T
        moving = np.flatnonzero(rng.random(n_founders) < CHANGE_OF_PLACES)
        places[moving] = places[rng.permutation(moving)]
    return haplotypes


def mosaic(founders: Alleles, segment: int, n: int, rng: np.random.Generator) -> Alleles:
    """Draws haplotypes that copy founders, each from one founder per segment.

    Args:
        founders: Haplotypes to copy [founders, variants].
        segment: Most variants of a segment.
        n: How many haplotypes to draw.
        rng: Random numbers.

    Returns:
        0 or 1 [n, variants].
    """
    result = np.empty((n, founders.shape[1]), np.int8)
    source = rng.integers(0, len(founders), n)
    for start in range(0, founders.shape[1], segment):
        part = slice(start, start + segment)
        result[:, part] = founders[source, part]
        switching = rng.random(n) < SWITCH
        source[switching] = rng.integers(0, len(founders), np.count_nonzero(switching))
    return result


def panel_genotypes(
    blocks: Sequence[int],
    n_people: int,
    n_founders: int,
    segment: int,
    min_frequency: float,
    rng: np.random.Generator,
) -> Alleles:
    """Draws the genotypes of people; every variant varies among them.

    Args:
        blocks: Number of variants of each LD block.
        n_people: Number of people.
        n_founders: Number of founder haplotypes.
        segment: Most variants of a segment.
        min_frequency: Least frequency of the rarer allele among the founders.
        rng: Random numbers.

    Returns:
        Copies of the counted allele, 0 to 2 [people, variants]. Which allele is counted, the
        rarer or the other, is drawn.

    Raises:
        UsageError: People or founders are too few for such frequencies.
    """
    parts = []
    for size in blocks:
        founders = founder_haplotypes(size, n_founders, segment, min_frequency, rng)
        founders ^= rng.integers(0, 2, size, np.int8)
        parts.append(_varying_genotypes(founders, segment, n_people, rng))
    return np.concatenate(parts, axis=1)


def _varying_genotypes(
    founders: Alleles, segment: int, n_people: int, rng: np.random.Generator
) -> Alleles:
    """Genotypes in which no variant is the same for all."""
    for _ in range(_TRIES):
        haplotypes = mosaic(founders, segment, 2 * n_people, rng)
        genotypes = haplotypes[:n_people] + haplotypes[n_people:]
        if np.all(genotypes.min(axis=0) < genotypes.max(axis=0)):
            return genotypes
    raise UsageError(
        f"{n_people} people are too few: some variants are the same for all of them; ask for more "
        "people or less rare variants"
    )


def _usable_tree(n_founders: int, min_frequency: float, rng: np.random.Generator) -> Tree:
    """A tree without the branches whose variants would be too rare."""
    least = max(_LEAST_COPIES, int(np.ceil(min_frequency * n_founders)))
    for _ in range(_TRIES):
        tree = random_tree(n_founders, rng)
        copies = tree.clades.sum(axis=1)
        kept = (copies >= least) & (copies <= n_founders - least)
        if np.any(kept):
            return Tree(tree.clades[kept], tree.lengths[kept])
    raise UsageError(
        f"{n_founders} founders have no variants with a frequency of {min_frequency:g}; use more "
        "founders or a lower frequency"
    )
