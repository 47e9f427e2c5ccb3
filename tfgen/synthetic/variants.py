"""Variants of a world: where they lie, which alleles they have, how common they are."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tfgen.errors import UsageError
from tfgen.genome import N_CODE, Variant, decode
from tfgen.synthetic.assembly import Assembled
from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.grammar import CLASSES

ELSEWHERE = "elsewhere"
MOTIF_CLASSES = tuple(sorted(set(CLASSES.values())))
VARIANT_CLASSES = (*MOTIF_CLASSES, ELSEWHERE)

_LONGEST_INDEL = 12
_LONGEST_MNV = 3
_TRIES = 1000
_COMMON, _RARE = (0.05, 0.5), (0.0005, 0.01)


@dataclasses.dataclass(frozen=True)
class WorldVariant:
    """A variant with what its VCF record says about it.

    Attributes:
        variant: Parsimonious and left-aligned.
        variant_class: `activator`, `distal`, `pair` or `repressor` if it changes a planted, bound
            site of such a motif, else `elsewhere`.
        frequency: Frequency of the alternative allele.
    """

    variant: Variant
    variant_class: str
    frequency: float


def draw_variants(
    assembled: Assembled, number: int, config: WorldConfig, rng: np.random.Generator
) -> list[WorldVariant]:
    """Draws variants on one chromosome, no two at one position.

    Half of them change a planted, bound site, the classes of motif in equal parts; the others lie
    anywhere outside such sites. Half are common (allele frequency 0.05 to 0.5), half rare (0.0005
    to 0.01). The window of `config.sequence_length` around each lies inside the chromosome and
    holds none of its outer gaps.

    Args:
        assembled: The chromosome.
        number: How many to draw.
        config: Shares of indels and multi-base substitutions, and the window.
        rng: Random numbers.

    Returns:
        The variants in order of position, with ids `<chromosome>_<number from 1>`.

    Raises:
        UsageError: The chromosome has no room for so many.
    """
    dice = _Dice(assembled, config, rng)
    drawn: dict[int, WorldVariant] = {}
    for index in range(number):
        in_motif = index % 2 == 0
        variant_class = MOTIF_CLASSES[index // 2 % len(MOTIF_CLASSES)] if in_motif else ELSEWHERE
        variant = next(
            (
                candidate
                for candidate in (dice.candidate(variant_class) for _ in range(_TRIES))
                if candidate is not None and candidate.pos not in drawn
            ),
            None,
        )
        if variant is None:
            raise UsageError(
                f"chromosome {assembled.chromosome.name} has no room for {number} variants "
                f"({variant_class}); draw fewer or lengthen it"
            )
        frequency = round(rng.uniform(*(_COMMON if rng.integers(2) else _RARE)), 5)
        drawn[variant.pos] = WorldVariant(variant, variant_class, frequency)
    return [
        dataclasses.replace(
            drawn[pos],
            variant=dataclasses.replace(
                drawn[pos].variant, id=f"{assembled.chromosome.name}_{number}"
            ),
        )
        for number, pos in enumerate(sorted(drawn), start=1)
    ]


class _Dice:
    """Draws one candidate variant after the other on one chromosome."""

    def __init__(self, assembled: Assembled, config: WorldConfig, rng: np.random.Generator) -> None:
        self._name = assembled.chromosome.name
        self._codes = assembled.codes
        self._config = config
        self._rng = rng
        self._margin = config.gap_length + config.sequence_length // 2
        self._class_at = np.full(len(assembled.codes), VARIANT_CLASSES.index(ELSEWHERE), np.int8)
        for planted in assembled.planted:
            bound = planted.start[planted.occupancy(assembled.codes) > 0]
            inside = bound[:, None] + np.arange(planted.motif.width)
            self._class_at[inside] = VARIANT_CLASSES.index(CLASSES[planted.motif.name])
        middle = self._class_at[self._margin : -self._margin]
        self._positions = {
            name: np.flatnonzero(middle == index) + self._margin
            for index, name in enumerate(MOTIF_CLASSES)
        }

    def candidate(self, variant_class: str) -> Variant | None:
        """A variant of a class, or None if the draw came to nothing."""
        position = self._position(variant_class)
        if position is None:
            return None
        variant = self._change(position)
        near = self._codes[variant.start - 1 : variant.end + 1]
        if near.max() >= N_CODE or variant.start < self._margin:
            return None
        # An indel in a repeat moves to the left; what counts is the bases that it changes.
        first = variant.start if variant.is_substitution else variant.start + 1
        changed = self._class_at[first : max(variant.end, first + 1)]
        touched = changed == VARIANT_CLASSES.index(variant_class)
        belongs = touched.all() if variant_class == ELSEWHERE else touched.any()
        return variant if belongs else None

    def _position(self, variant_class: str) -> int | None:
        """Any position, or one in a site of the class; None if there is none."""
        if variant_class == ELSEWHERE:
            return int(self._rng.integers(self._margin, len(self._codes) - self._margin))
        positions = self._positions[variant_class]
        return int(positions[self._rng.integers(len(positions))]) if len(positions) else None

    def _change(self, position: int) -> Variant:
        """Alleles of a random kind at a 0-based position."""
        kind = self._rng.random()
        if kind < self._config.indel_fraction:
            return self._indel(position)
        kind -= self._config.indel_fraction
        many = kind < self._config.mnv_fraction
        size = int(self._rng.integers(2, _LONGEST_MNV + 1)) if many else 1
        ref = self._codes[position : position + size]
        alt = (ref + self._rng.integers(1, 4, size, dtype=np.uint8)) % 4
        return Variant(self._name, position + 1, decode(ref), decode(alt))

    def _indel(self, position: int) -> Variant:
        """Deletes or inserts bases at `position`."""
        size = int(self._rng.integers(1, _LONGEST_INDEL + 1))
        if self._rng.integers(2):
            ref, alt = self._codes[position : position + size], np.empty(0, np.uint8)
        else:
            ref, alt = np.empty(0, np.uint8), self._rng.integers(0, 4, size, dtype=np.uint8)
        start, ref, alt = left_aligned(self._codes, position, ref, alt)
        return Variant(self._name, start + 1, decode(ref), decode(alt))


def left_aligned(
    codes: NDArray[np.uint8], start: int, ref: NDArray[np.uint8], alt: NDArray[np.uint8]
) -> tuple[int, NDArray[np.uint8], NDArray[np.uint8]]:
    """Moves a pure insertion or deletion as far left as it goes and puts a base before it.

    Args:
        codes: Base codes of the chromosome.
        start: 0-based position of the first deleted base, or of the base behind an insertion.
        ref: The deleted bases, or none.
        alt: The inserted bases, or none.

    Returns:
        Start and alleles as a VCF has them (Tan et al. 2015, doi:10.1093/bioinformatics/btv112).
    """
    moving = ref if len(ref) else alt
    while start > 1 and codes[start - 1] == moving[-1]:
        moving = np.roll(moving, 1)
        start -= 1
    anchor = codes[start - 1 : start]
    longer = np.concatenate([anchor, moving])
    return (start - 1, longer, anchor) if len(ref) else (start - 1, anchor, longer)
