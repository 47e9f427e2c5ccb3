"""Regulatory elements planted into background DNA.

Planting only makes sites frequent; what a site does is decided by `tfgen.synthetic.truth` alone,
from the sequence. Sites are drawn from their motif's matrix, so many are weak and some are dead.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tfgen.genome import N_CODE
from tfgen.synthetic import grammar
from tfgen.synthetic.motifs import Motif


@dataclasses.dataclass(frozen=True)
class Slot:
    """A place in an element that may hold a site.

    Attributes:
        motifs: One of these, each as likely.
        nearest: Smallest distance in bases to the middle of the element, on either side.
        farthest: Largest such distance.
        probability: Chance that the slot is filled.
    """

    motifs: tuple[Motif, ...]
    nearest: int
    farthest: int
    probability: float


@dataclasses.dataclass(frozen=True)
class Element:
    """A kind of planted element.

    Attributes:
        share: Share of elements that are of this kind.
        slots: Its places, later ones are written over earlier ones.
    """

    share: float
    slots: tuple[Slot, ...]


_ACTIVATORS = (grammar.ACTIVATOR_1, grammar.ACTIVATOR_2)

ELEMENTS = (
    Element(
        0.23,
        (
            Slot((grammar.REPRESSOR,), 20, 100, 0.5),
            Slot(_ACTIVATORS, 12, 60, 0.5),
            Slot(_ACTIVATORS, 0, 0, 1.0),
        ),
    ),
    Element(
        0.32,
        (
            Slot((grammar.ENHANCER,), 400, 650, 0.5),
            Slot((grammar.ENHANCER,), 200, 400, 0.5),
            Slot((grammar.REPRESSOR,), 20, 100, 0.3),
            Slot(_ACTIVATORS, 15, 80, 0.4),
            Slot((grammar.PROMOTER,), 0, 0, 1.0),
        ),
    ),
    Element(
        0.45,
        (
            Slot((grammar.REPRESSOR,), 45, 120, 0.3),
            Slot((grammar.PAIR_RIGHT,), 12, 36, 0.85),
            Slot((grammar.PAIR_LEFT,), 0, 0, 0.85),
        ),
    ),
)


@dataclasses.dataclass(frozen=True)
class PlantedSites:
    """Where sites of one motif were planted, whether or not they are still whole.

    Attributes:
        motif: The motif.
        start: 0-based first base, int64 `[n]`.
        forward: Strand, bool `[n]`.
    """

    motif: Motif
    start: NDArray[np.int64]
    forward: NDArray[np.bool_]

    def occupancy(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How well each site `[n]` is bound in the finished chromosome, 0 to 1."""
        bases = codes[self.start[:, None] + np.arange(self.motif.width)]
        known = (bases < N_CODE).all(axis=1)
        bases = np.where(known[:, None], bases, 0)
        bases = np.where(self.forward[:, None], bases, 3 - bases[:, ::-1])
        score = self.motif.scores[np.arange(self.motif.width), bases].sum(axis=1)
        return np.where(known, self.motif.occupancy(score), 0.0)


def plant_elements(
    codes: NDArray[np.uint8], spacing: int, margin: int, rng: np.random.Generator
) -> list[PlantedSites]:
    """Writes elements into `codes`, in place.

    Args:
        codes: Base codes `[length]`.
        spacing: Mean distance in bases between the middles of elements; it varies by half.
        margin: Bases at both ends that hold no middle of an element; at least 700.
        rng: Random numbers.

    Returns:
        The planted sites, in the order in which they were written.
    """
    number = (len(codes) - 2 * margin) * 2 // spacing + 1
    middles = margin + np.cumsum(rng.integers(spacing // 2, spacing + spacing // 2 + 1, number))
    middles = middles[middles < len(codes) - margin]
    kinds = np.searchsorted(
        np.cumsum([element.share for element in ELEMENTS[:-1]]), rng.random(len(middles))
    )
    planted = []
    for kind, element in enumerate(ELEMENTS):
        for slot in element.slots:
            planted.extend(_fill(codes, slot, middles[kinds == kind], rng))
    return planted


def _fill(
    codes: NDArray[np.uint8], slot: Slot, middles: NDArray[np.int64], rng: np.random.Generator
) -> list[PlantedSites]:
    """Fills one slot of all elements of a kind."""
    middles = middles[rng.random(len(middles)) < slot.probability]
    side = 2 * rng.integers(0, 2, len(middles)) - 1
    centre = middles + side * rng.integers(slot.nearest, slot.farthest + 1, len(middles))
    choice = rng.integers(0, len(slot.motifs), len(middles))
    planted = []
    for index, motif in enumerate(slot.motifs):
        start = centre[choice == index] - motif.width // 2
        forward = rng.integers(0, 2, len(start)) == 1
        bases = _draw(motif, len(start), rng)
        bases = np.where(forward[:, None], bases, 3 - bases[:, ::-1])
        codes[start[:, None] + np.arange(motif.width)] = bases
        planted.append(PlantedSites(motif, start, forward))
    return planted


def _draw(motif: Motif, number: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Sequences `[number, width]` drawn from the motif's matrix."""
    chance = rng.random((number, motif.width))
    edges = np.cumsum(motif.probabilities, axis=1)[:, :-1]
    above: NDArray[np.bool_] = chance[:, :, None] > edges[None, :, :]
    bases: NDArray[np.uint8] = np.sum(above, axis=2, dtype=np.uint8)
    return bases
