"""The genome of a world: its chromosomes as base codes, and the FASTA file."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pysam
from numpy.typing import NDArray

from tfgen.genome import N_CODE
from tfgen.synthetic.background import background, put_gaps, soft_mask
from tfgen.synthetic.config import ELEMENT_REACH, Chromosome, WorldConfig
from tfgen.synthetic.planting import PlantedSites, plant_elements

_LETTERS = np.frombuffer(b"ACGTN", np.uint8)
_LOWER_CASE = 32
_LINE = 64


@dataclasses.dataclass(frozen=True)
class Assembled:
    """One chromosome before it is written.

    Attributes:
        chromosome: Its name, length and split.
        codes: Base codes uint8 `[length]`, A C G T N = 0 1 2 3 4.
        planted: Where sites were planted.
    """

    chromosome: Chromosome
    codes: NDArray[np.uint8]
    planted: list[PlantedSites]


def assemble(config: WorldConfig) -> Iterator[Assembled]:
    """Makes the chromosomes one by one, in the order of `config.layout`."""
    backgrounds = config.generators("background")
    planters = config.generators("planting")
    for chromosome in config.layout:
        codes = background(chromosome.length, backgrounds[chromosome.name])
        margin = config.gap_length + ELEMENT_REACH
        planted = plant_elements(codes, config.spacing, margin, planters[chromosome.name])
        put_gaps(codes, config.gap_length)
        yield Assembled(chromosome, codes, planted)


class FastaWriter:
    """Writes chromosomes to a bgzip FASTA with `.fai` and `.gzi`, with soft-masked stretches.

    Args:
        path: The compressed file, in an existing folder.
        config: Gives the share of lower case and its random numbers.
    """

    def __init__(self, path: Path, config: WorldConfig) -> None:
        self._path = path
        self._plain = path.with_suffix("")
        self._fraction = config.masked_fraction
        self._generators = config.generators("soft_mask")
        self._plain.write_bytes(b"")

    def add(self, name: str, codes: NDArray[np.uint8]) -> None:
        """Appends one chromosome: base codes `[length]`, all of them 0 to 4."""
        letters = _LETTERS[np.minimum(codes, N_CODE)]
        letters[soft_mask(len(codes), self._fraction, self._generators[name])] |= _LOWER_CASE
        whole = len(letters) // _LINE * _LINE
        lines = np.full((whole // _LINE, _LINE + 1), ord("\n"), np.uint8)
        lines[:, :_LINE] = letters[:whole].reshape(-1, _LINE)
        with self._plain.open("ab") as stream:
            stream.write(f">{name}\n".encode())
            stream.write(lines.tobytes())
            if whole < len(letters):
                stream.write(letters[whole:].tobytes() + b"\n")

    def finish(self) -> None:
        """Compresses and indexes the file."""
        pysam.tabix_compress(str(self._plain), str(self._path), force=True)
        self._plain.unlink()
        pysam.faidx(str(self._path))
