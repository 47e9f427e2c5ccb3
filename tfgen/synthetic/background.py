"""Random DNA with the dinucleotide composition of a mammalian genome, and its gaps."""

import numpy as np
from numpy.typing import NDArray

from tfgen.genome import N_CODE

# Rough percentages of the 16 dinucleotides in the human genome, both strands together: rows are
# the first base, columns the second, A C G T. CG is depleted.
_DINUCLEOTIDES = (
    (9.8, 5.0, 7.0, 7.7),
    (7.3, 5.2, 1.0, 7.0),
    (5.9, 4.3, 5.2, 5.0),
    (6.6, 5.9, 7.3, 9.8),
)
_MOST_CHAINS, _SHORTEST_CHAIN = 4096, 512


def background(length: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws base codes `[length]` (A C G T = 0 1 2 3) from a first-order Markov chain.

    Many short chains run side by side and are laid end to end, which is what makes it fast.
    """
    number = max(1, min(_MOST_CHAINS, length // _SHORTEST_CHAIN))
    steps = max(1, -(-length // number))
    chains = np.empty((steps, number), np.uint8)
    chains[0] = rng.integers(0, 4, number, dtype=np.uint8)
    follower = _followers()
    for step in range(1, steps):
        chance = rng.integers(0, 256, number, dtype=np.uint8)
        chains[step] = follower[chains[step - 1], chance]
    return np.ascontiguousarray(chains.T).reshape(-1)[:length]


def _followers() -> NDArray[np.uint8]:
    """The next base `[4, 256]` by base and by a random byte."""
    table = np.empty((4, 256), np.uint8)
    for row, percent in zip(table, _DINUCLEOTIDES, strict=True):
        edges = np.rint(256 * np.cumsum(percent) / np.sum(percent)).astype(int)
        row[:] = np.searchsorted(edges, np.arange(256), side="right")
    return table


def put_gaps(codes: NDArray[np.uint8], gap_length: int) -> None:
    """Sets `gap_length` bases at both ends and in the middle of `codes` to N, in place."""
    middle = (len(codes) - gap_length) // 2
    for start in (0, middle, len(codes) - gap_length):
        codes[start : start + gap_length] = N_CODE


def soft_mask(length: int, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Marks stretches of 100 to 3,000 bases, in all about `fraction` of `[length]`."""
    shortest, longest = 100, 3000
    number = int(2 * fraction * length / (shortest + longest))
    starts = rng.integers(0, length, number)
    ends = np.minimum(starts + rng.integers(shortest, longest + 1, number), length)
    steps = np.bincount(starts, minlength=length + 1) - np.bincount(ends, minlength=length + 1)
    return np.cumsum(steps[:length]) > 0
