"""Which stretch of the genome a model reads to score a variant."""

from dataclasses import dataclass
from typing import Literal, get_args

from tfgen.effects.statistics import BinPair, central_bins
from tfgen.enformer.config import BIN_SIZE
from tfgen.errors import UsageError
from tfgen.genome import Interval, Variant, centred_window

WindowMode = Literal["centred", "shared"]
WINDOW_MODES: tuple[str, ...] = get_args(WindowMode)

TILES_PER_OUTPUT = 7
LONGEST_SHARED_ALLELE = BIN_SIZE
"""A longer substitution changes so many bins that it gets a window of its own."""


@dataclass(frozen=True)
class WindowGeometry:
    """Lengths of a model and the windows that follow from them.

    Attributes:
        sequence_length: Bases that the model reads.
        target_length: Output bins of 128 bases, from the middle of the window.

    Raises:
        UsageError: The bins do not fit into the sequence.
    """

    sequence_length: int
    target_length: int

    def __post_init__(self) -> None:
        if self.target_length < 1 or self.output_length > self.sequence_length:
            raise UsageError(
                f"{self.target_length} output bins of {BIN_SIZE} bases do not fit into a "
                f"sequence of {self.sequence_length} bases"
            )

    @property
    def output_length(self) -> int:
        """Bases that the output bins cover."""
        return self.target_length * BIN_SIZE

    @property
    def crop(self) -> int:
        """Bases of the window before the first output bin."""
        return (self.sequence_length - self.output_length) // 2

    @property
    def tile_stride(self) -> int:
        """Bases between two shared windows.

        One seventh of the output region, rounded to whole bins and at least one bin: 16,384 for
        the published model.
        """
        return max(1, round(self.target_length / TILES_PER_OUTPUT)) * BIN_SIZE

    def window(self, variant: Variant, mode: WindowMode) -> Interval:
        """The window of a variant, 0-based; it may reach past either end of the contig.

        `centred` puts the first base of the variant at index sequence_length // 2. `shared`
        takes one of the windows on a fixed tiling of the contig, so that neighbouring
        substitutions share a window and yet no score depends on which other variants are
        present: tile k serves the starts [k * stride, (k + 1) * stride) with the window that
        begins at k * stride + stride // 2 - sequence_length // 2, rounded down to a multiple of
        128. An indel, or a substitution of more than 128 bases, is centred in either mode.
        """
        longest = max(len(variant.ref), len(variant.alt))
        if mode == "centred" or not variant.is_substitution or longest > LONGEST_SHARED_ALLELE:
            return centred_window(variant, self.sequence_length)
        tile = variant.start // self.tile_stride
        middle = tile * self.tile_stride + self.tile_stride // 2
        start = (middle - self.sequence_length // 2) // BIN_SIZE * BIN_SIZE
        return Interval(variant.chrom, start, start + self.sequence_length)

    def central_bins(self, offset: int) -> BinPair:
        """The two output bins around a variant at `offset`, its 0-based index in the window.

        Raises:
            UsageError: The model has no two bins around that base.
        """
        return central_bins(offset - self.crop, self.target_length)
