"""What decides a synthetic world."""

import dataclasses
import math
import re
from typing import Any, Literal, cast

import numpy as np

from tfgen.errors import UsageError
from tfgen.synthetic.grammar import BIN_SIZE

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

ELEMENT_REACH = 1000
"""More bases than any planted site is away from the middle of its element."""

PURPOSES = ("background", "planting", "soft_mask", "noise", "variants")
"""Each has random numbers of its own; a new purpose goes to the end, so that worlds stay alike."""


@dataclasses.dataclass(frozen=True)
class Chromosome:
    """One chromosome and the part it plays in training.

    Attributes:
        name: Contig name.
        length: Bases, a multiple of 128.
        split: `train`, `valid` or `test` (held out).
    """

    name: str
    length: int
    split: Split

    @property
    def n_bins(self) -> int:
        """Bins of 128 bases."""
        return self.length // BIN_SIZE


def _option(default: Any, text: str, lower: float, upper: float | None = None) -> Any:
    """A field with the range and the help that its flag has too."""
    metadata = {"help": text, "lower": lower}
    if upper is not None:
        metadata["upper"] = upper
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class WorldConfig:
    """Size, density, noise and variants of a world; its laws are in `tfgen.synthetic.grammar`.

    The `help` in the metadata of each field says what it is.

    Raises:
        UsageError: A value is out of range or a chromosome cannot be read.
    """

    seed: int = _option(1, "Seed of everything random.", 0)
    chromosomes: tuple[str, ...] = dataclasses.field(
        default=(
            "chrA:12000000:train",
            "chrB:10000000:train",
            "chrC:3000064:test",
            "chrD:1000064:valid",
        ),
        metadata={
            "help": "Chromosomes as NAME:LENGTH:SPLIT; the length in bases is a multiple of 128, "
            "the split is train, valid or test (held out)."
        },
    )
    spacing: int = _option(350, "Mean distance in bases between planted elements.", 100)
    gap_length: int = _option(
        10_000, "Bases of N at both ends of a chromosome and in its middle.", 0
    )
    masked_fraction: float = _option(
        0.4, "Rough share of the genome that is written in lower case.", 0, 1
    )
    depth: float = _option(
        8.0, "Reads per unit of coverage: observed = Poisson(depth x expected) / depth.", 0.001
    )
    sequence_length: int = _option(
        4096, "Bases of the window in which the effect of a variant is stated.", BIN_SIZE
    )
    target_length: int = _option(
        16, "Bins of 128 bases in the centre of that window that are summed to the effect.", 1
    )
    test_variants: int = _option(
        1200, "Variants on each test chromosome, half of them in planted motifs.", 0
    )
    other_variants: int = _option(200, "Variants on each other chromosome.", 0)
    indel_fraction: float = _option(
        0.1, "Share of insertions and deletions, 1 to 12 bases long.", 0, 1
    )
    mnv_fraction: float = _option(
        0.05, "Share of substitutions of 2 or 3 neighbouring bases.", 0, 1
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, lower = getattr(self, field.name), field.metadata.get("lower")
            upper = field.metadata.get("upper", math.inf)
            if lower is not None and not lower <= value <= upper:
                raise UsageError(f"{field.name} is {value}; expected {lower} to {upper}")
        if self.indel_fraction + self.mnv_fraction > 1:
            raise UsageError("indel_fraction + mnv_fraction is above 1; lower one of them")
        names = [chromosome.name for chromosome in self.layout]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"chromosomes {names}: expected at least one, each named once")
        self._check_window()

    def _check_window(self) -> None:
        n_bins, rest = divmod(self.sequence_length, BIN_SIZE)
        if rest or self.target_length > n_bins or (n_bins - self.target_length) % 2:
            raise UsageError(
                f"sequence_length {self.sequence_length}, target_length {self.target_length}: "
                f"expected a multiple of {BIN_SIZE} bases and an even number of bins to crop"
            )
        for chromosome in self.layout:
            needed = 3 * self.gap_length + 2 * self.sequence_length + 2 * ELEMENT_REACH
            if chromosome.length < needed:
                raise UsageError(
                    f"chromosome {chromosome.name} has {chromosome.length} bases; expected at "
                    f"least {needed} with gaps of {self.gap_length}"
                )

    @property
    def layout(self) -> tuple[Chromosome, ...]:
        """The chromosomes in the order of the FASTA file."""
        return tuple(_chromosome(text) for text in self.chromosomes)

    @property
    def output_bins(self) -> slice:
        """The bins of a window that are summed to an effect."""
        crop = (self.sequence_length // BIN_SIZE - self.target_length) // 2
        return slice(crop, crop + self.target_length)

    def generators(self, purpose: str) -> dict[str, np.random.Generator]:
        """A fresh random generator per chromosome name for one of `PURPOSES`."""
        stream = np.random.SeedSequence(self.seed).spawn(len(PURPOSES))[PURPOSES.index(purpose)]
        layout = self.layout
        seeds = stream.spawn(len(layout))
        return {c.name: np.random.default_rng(s) for c, s in zip(layout, seeds, strict=True)}


def _chromosome(text: str) -> Chromosome:
    fields = text.split(":")
    if len(fields) != 3 or fields[2] not in SPLITS:  # noqa: PLR2004
        raise UsageError(f"chromosome {text!r}; expected name:length:{'|'.join(SPLITS)}")
    name, length, split = fields
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UsageError(f"chromosome {text!r}: name {name!r}; expected letters, digits, _ . -")
    if not (length.isascii() and length.isdigit()) or int(length) % BIN_SIZE:
        raise UsageError(f"chromosome {text!r}: length {length}; expected a multiple of {BIN_SIZE}")
    return Chromosome(name, int(length), cast(Split, split))
