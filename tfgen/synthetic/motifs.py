"""Binding motifs and the search for their sites in both strands of a sequence.

A motif is written as a consensus and read as a position weight matrix in tenths of a bit. Scores
are integers and occupancies simple fractions of them, so that a search gives the same numbers on
every machine.
"""

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tfgen.errors import UsageError
from tfgen.genome import N_CODE

FLOOR_BITS = 8
"""Bits below the best score at which a site is no longer bound at all."""

_TENTHS = 10
_STRONG, _WEAK = 0.97, 0.70
_UNIFORM = 0.25
_BASES = "ACGT"
_WORD = 6
"""Bases that are scored by one table look-up: 4^6 scores stay in the first-level cache."""

_CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Motif:
    """A motif by its consensus.

    A capital letter is found with probability 0.97, a small one with 0.70; the other three bases
    share the rest.

    Attributes:
        name: Unique name.
        consensus: A, C, G, T, a, c, g, t. The width is odd, so that the centre of a site is a
            base, and the same base on either strand.

    Raises:
        UsageError: The consensus has an even width or another letter.
    """

    name: str
    consensus: str

    def __post_init__(self) -> None:
        if self.width % 2 == 0:
            raise UsageError(f"motif {self.name}: width {self.width} is even; make it odd")
        if unknown := sorted(set(self.consensus.upper()) - set(_BASES)):
            raise UsageError(
                f"motif {self.name}: {''.join(unknown)!r} in {self.consensus!r}; expected ACGTacgt"
            )

    @property
    def width(self) -> int:
        """Number of positions."""
        return len(self.consensus)

    @functools.cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of each base, `[width, 4]` in the order A C G T."""
        table = np.empty((self.width, 4))
        for row, letter in zip(table, self.consensus, strict=True):
            chance = _STRONG if letter.isupper() else _WEAK
            row[:] = (1 - chance) / 3
            row[_BASES.index(letter.upper())] = chance
        return table

    @functools.cached_property
    def scores(self) -> NDArray[np.int16]:
        """Log-odds against a uniform background in tenths of a bit, `[width, 4]` A C G T."""
        bits: NDArray[np.float64] = np.log2(self.probabilities / _UNIFORM)
        return np.rint(_TENTHS * bits).astype(np.int16)

    @property
    def information(self) -> float:
        """Information content in bits."""
        chance = self.probabilities
        return float(np.sum(chance * np.log2(chance / _UNIFORM)))

    @property
    def best(self) -> int:
        """Score of the consensus in tenths of a bit."""
        return int(self.scores.max(axis=1).sum())

    def occupancy(self, score: NDArray[np.signedinteger]) -> NDArray[np.float64]:
        """Occupancy of sites by score: 1 at the best, falling on a line to 0 `FLOOR_BITS` below."""
        span = FLOOR_BITS * _TENTHS
        return np.clip((score.astype(np.float64) - (self.best - span)) / span, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Sites:
    """Bound sites of one motif in one sequence, in order of their position.

    Attributes:
        centre: 0-based position of the central base, int64 `[n]`.
        occupancy: In (0, 1], float64 `[n]`.
        forward: True where the motif is read on the given strand, bool `[n]`.
    """

    centre: NDArray[np.int64]
    occupancy: NDArray[np.float64]
    forward: NDArray[np.bool_]


def find_sites(codes: NDArray[np.uint8], motifs: Iterable[Motif]) -> dict[str, Sites]:
    """Finds every bound site, planted or arisen by chance, on both strands.

    Args:
        codes: Base codes `[length]`: A C G T = 0 1 2 3; anything above is unknown, and a site
            that touches an unknown base is not bound.
        motifs: What to look for.

    Returns:
        The sites by motif name.
    """
    motifs = list(motifs)
    found: dict[str, list[Sites]] = {motif.name: [] for motif in motifs}
    widest = max(motif.width for motif in motifs)
    for start in range(0, len(codes), _CHUNK):
        size = min(_CHUNK, len(codes) - start)
        # Words reach past the last start of a site; what is missing there is unknown.
        padded = np.full(size + widest + _WORD, N_CODE, np.uint8)
        piece = codes[start : start + len(padded)]
        padded[: len(piece)] = piece
        words = _words(padded)
        unknown = np.concatenate([[0], np.cumsum(padded >= N_CODE)])
        for motif in motifs:
            found[motif.name].append(_sites_in_chunk(motif, words, unknown, start, size))
    return {name: _joined(chunks) for name, chunks in found.items()}


def _words(padded: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The base-4 number of the `_WORD` bases that begin at each position."""
    digits = np.where(padded < N_CODE, padded, 0).astype(np.intp)
    size = len(digits) - _WORD + 1
    words = digits[:size].copy()
    for offset in range(1, _WORD):
        words *= 4
        words += digits[offset : offset + size]
    return words


@functools.lru_cache(maxsize=256)
def _word_tables(motif: Motif, forward: bool) -> tuple[NDArray[np.int16], ...]:
    """Score of every word, one table `[4^_WORD]` per `_WORD` positions of the motif."""
    scores = motif.scores if forward else motif.scores[::-1, ::-1]
    padded = np.zeros((-(-motif.width // _WORD) * _WORD, 4), np.int16)
    padded[: motif.width] = scores
    tables = []
    for rows in padded.reshape(-1, _WORD, 4):
        table = np.zeros(1, np.int16)
        for row in rows:
            table = (table[:, None] + row[None, :]).ravel()
        tables.append(table)
    return tuple(tables)


def _sites_in_chunk(
    motif: Motif, words: NDArray[np.intp], unknown: NDArray[np.int64], start: int, size: int
) -> Sites:
    """Sites that begin at one of the `size` positions from `start` on, where `words` begin."""
    centres, occupancies, strands = [], [], []
    for forward in (True, False):
        tables = _word_tables(motif, forward)
        score = tables[0].take(words[:size])
        for index, table in enumerate(tables[1:], start=1):
            score += table.take(words[index * _WORD : index * _WORD + size])
        first = np.flatnonzero(score > motif.best - FLOOR_BITS * _TENTHS)
        first = first[unknown[first + motif.width] == unknown[first]]
        centres.append(first + start + motif.width // 2)
        occupancies.append(motif.occupancy(score[first]))
        strands.append(np.full(len(first), forward))
    return Sites(np.concatenate(centres), np.concatenate(occupancies), np.concatenate(strands))


def _joined(chunks: list[Sites]) -> Sites:
    centre = np.concatenate([chunk.centre for chunk in chunks] or [np.empty(0, np.int64)])
    occupancy = np.concatenate([chunk.occupancy for chunk in chunks] or [np.empty(0)])
    forward = np.concatenate([chunk.forward for chunk in chunks] or [np.empty(0, np.bool_)])
    order = np.argsort(centre, kind="stable")
    return Sites(centre[order], occupancy[order], forward[order])
