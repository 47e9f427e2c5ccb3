"""What training and evaluation read of a block, and where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TraitRows:
    """One trait in one block.

    Attributes:
        q: Whitened LD [k, n] float32.
        y: Whitened z-scores [k] float64.
        n_observed: Number of z-scores behind y.
        ld: LD of the observed variants with all of the block [n_observed, n] float32, and `z`, only
            for the `ldsr` objective.
        z: Their z-scores [n_observed] float32.
    """

    q: Floats
    y: npt.NDArray[np.float64]
    n_observed: int
    ld: Floats | None = None
    z: Floats | None = None


@dataclass(frozen=True)
class BlockData:
    """A block with its features and traits.

    Attributes:
        id: Name of the block.
        chrom: Contig.
        annotations: Features [n, A] float32, NaN where missing.
        frequency: Frequency of the counted allele [n] float32.
        tracks: Signal around the variants [n, L, T] float32, or None.
        traits: One entry per trait.
    """

    id: str
    chrom: str
    annotations: Floats
    frequency: Floats
    traits: tuple[TraitRows, ...]
    tracks: Floats | None = field(default=None)

    @property
    def n(self) -> int:
        """Variants."""
        return len(self.frequency)

    @property
    def k(self) -> int:
        """Rows of the largest trait."""
        return max(len(trait.y) for trait in self.traits)

    @property
    def n_observed(self) -> int:
        """z-scores of all traits."""
        return sum(trait.n_observed for trait in self.traits)

    def inputs(self, start: int = 0, stop: int | None = None) -> dict[str, Any]:
        """What a prior takes, for the variants start..stop."""
        rows = slice(start, stop)
        inputs = {"annotations": self.annotations[rows], "frequency": self.frequency[rows]}
        return inputs if self.tracks is None else {**inputs, "tracks": self.tracks[rows]}


@dataclass(frozen=True)
class BlockSize:
    """What is known of a block before it is read.

    Attributes:
        id: Name of the block.
        chrom: Contig.
        n: Variants.
        k: Kept eigenvalues.
        n_observed: z-scores of all traits.
        start: First base of the block, 0-based.
        end: End of the block, not part of it; where it equals `start`, the block overlaps none.
    """

    id: str
    chrom: str
    n: int
    k: int
    n_observed: int
    start: int = 0
    end: int = 0

    @property
    def cost(self) -> float:
        """Multiplications of a likelihood: what the work is balanced by."""
        return float(self.n) * self.k * self.k + 1.0


class BlockSource(Protocol):
    """Blocks that can be read again and again."""

    @property
    def sizes(self) -> Sequence[BlockSize]:
        """The blocks in genome order."""
        ...

    def read(self, index: int) -> BlockData:
        """One block, by its place in `sizes`."""
        ...

    def read_inputs(self, index: int) -> dict[str, Any]:
        """What a prior takes of a block, without its LD: as `BlockData.inputs`."""
        ...


class MemoryBlocks:
    """Blocks that are all in the memory."""

    def __init__(self, blocks: Sequence[BlockData]) -> None:
        self._blocks = tuple(blocks)
        self.sizes = tuple(
            BlockSize(block.id, block.chrom, block.n, block.k, block.n_observed)
            for block in self._blocks
        )

    def read(self, index: int) -> BlockData:
        """One block."""
        return self._blocks[index]

    def read_inputs(self, index: int) -> dict[str, Any]:
        """What a prior takes of a block."""
        return self._blocks[index].inputs()
