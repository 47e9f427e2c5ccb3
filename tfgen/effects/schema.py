"""The layout of a score store: names and types of its datasets and attributes.

One HDF5 file holds one row per alternative allele in input order and one column per output track.
Names and shapes are those of calico/basenji (`basenji_sad.py`), with columns of ours beside them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tfgen.effects.statistics import STATISTICS
from tfgen.genome import Status

FORMAT_VERSION = "1.0"
"""Readers refuse another major version."""

AttributeValue = str | int | float | bool
Attributes = Mapping[str, AttributeValue]

LONGEST_STORED_ALLELE = 65_536
"""Alleles beyond this many bases are not scored and are stored abbreviated."""

LONGEST_ABBREVIATION = 64
"""Room for an abbreviated allele; alleles up to this length are always stored whole."""

FLOAT16_LIMIT = 65_504.0
"""Largest finite float16; scores beyond it are clipped."""

PERCENTILES = np.concatenate(
    [np.arange(1, 100) / 1000, np.arange(10, 90) / 100, np.arange(900, 1000) / 1000]
)
"""float64 [279], the grid of basenji: fine at both tails, coarse between."""

TEXT_COLUMNS = ("snp", "chr", "ref_allele", "alt_allele")
"""Fixed-length UTF-8 bytes, as wide as the longest value of the whole input file."""

STATUS_DTYPE = np.dtype(f"S{max(len(status.value) for status in Status)}")

NUMBER_COLUMNS = MappingProxyType(
    {
        "pos": np.dtype(np.uint32),  # 1-based
        "alt_index": np.dtype(np.int32),  # 1-based index of the ALT within its record
        "status": STATUS_DTYPE,
        "window_start": np.dtype(np.int64),  # 0-based; 0 where the row has no window
        "n_padded": np.dtype(np.int32),  # positions of the window outside the contig
        "n_fraction": np.dtype(np.float32),  # share of N in the window; NaN without a window
        "swapped": np.dtype(np.bool_),  # the genome has ALT; the score is still ALT - REF
        "indel_shift": np.dtype(np.bool_),  # bases right of the variant moved
        "not_normalised": np.dtype(np.bool_),  # an indel not left-aligned or not parsimonious
    }
)

ROW_COLUMNS = (*TEXT_COLUMNS, *NUMBER_COLUMNS)
"""Every column that has one value per row, in the order of the file."""

CHUNK_ROWS = 1024
CHUNK_TRACKS = 16
"""Chunks are at most this large, so that both rows and tracks can be read in slices."""

TEXT_CHUNK_BYTES = 1 << 20
TYPICAL_TEXT_BYTES = 32
FIXED_BYTES = 1 << 20


@dataclass(frozen=True)
class StoreSchema:
    """Everything that fixes the shape of one store.

    Attributes:
        n_rows: Rows that this file holds.
        text_widths: Bytes of each of `TEXT_COLUMNS`.
        statistics: Names of the score datasets, in order.
        target_ids: Identifier of each track.
        target_labels: Description of each track.
        float16: Scores are float16 instead of float32.
        attributes: What determines the scores; nothing about time, host or place.
    """

    n_rows: int
    text_widths: Mapping[str, int]
    statistics: tuple[str, ...]
    target_ids: tuple[str, ...]
    target_labels: tuple[str, ...]
    float16: bool
    attributes: Attributes

    @property
    def n_tracks(self) -> int:
        """Number of output tracks."""
        return len(self.target_ids)

    @property
    def score_dtype(self) -> np.dtype[np.floating]:
        """Type of the score datasets."""
        return np.dtype(np.float16 if self.float16 else np.float32)

    def dtype(self, column: str) -> np.dtype[np.generic]:
        """Type of a row column or of a statistic."""
        if column in NUMBER_COLUMNS:
            return NUMBER_COLUMNS[column]
        if column in TEXT_COLUMNS:
            return np.dtype(f"S{max(1, self.text_widths[column])}")
        return self.score_dtype

    def block_rows(self, column: str) -> int:
        """Rows of one chunk of a row column or statistic; so many are written at a time."""
        rows = CHUNK_ROWS
        if column not in self.statistics:
            rows = min(rows, TEXT_CHUNK_BYTES // self.dtype(column).itemsize)
        return _even(self.n_rows, max(1, rows))

    def chunks(self, column: str) -> tuple[int, ...] | None:
        """Shape of the chunks of a row column or statistic; None if it has no elements."""
        chunks: tuple[int, ...] = (self.block_rows(column),)
        if column in self.statistics:
            chunks = (*chunks, _even(self.n_tracks, CHUNK_TRACKS))
        return chunks if all(chunks) else None

    @property
    def size(self) -> int:
        """Bytes of the file, roughly and not too small.

        The padding of text vanishes in its compression, so a long allele does not count per row.
        """
        widths = [self.dtype(column).itemsize for column in ROW_COLUMNS]
        rows = self.n_rows * sum(min(width, TYPICAL_TEXT_BYTES) for width in widths)
        scores = self.n_rows * self.n_tracks * self.score_dtype.itemsize
        percentiles = PERCENTILES.size * self.n_tracks * np.dtype(np.float32).itemsize
        return FIXED_BYTES + rows + len(self.statistics) * (scores + percentiles)


def _even(length: int, limit: int) -> int:
    """Length of chunks of nearly equal size, at most `limit`, so that the last is almost full."""
    return math.ceil(length / max(1, math.ceil(length / limit)))


def stored_allele(allele: str, longest: int) -> str:
    """The allele as a store has it: whole, or its first 32 bases and its length in bases.

    Fixed-length columns are as wide as their longest value, so a single allele of megabases
    would make every row that long.

    Args:
        allele: Any allele.
        longest: Bases of the longest allele that is stored whole.
    """
    if len(allele) <= max(longest, LONGEST_ABBREVIATION):
        return allele
    return f"{allele[:32]}...[{len(allele)}]"


def stored_positions(positions: Sequence[int]) -> npt.NDArray[np.uint32]:
    """1-based positions as a store has them: what uint32 cannot hold becomes its nearest value."""
    return np.clip(np.array(positions, np.int64), 0, np.iinfo(np.uint32).max).astype(np.uint32)


def text_widths(longest: Mapping[str, int], longest_allele: int) -> dict[str, int]:
    """Bytes of each text column.

    Args:
        longest: Bytes of the longest value of each column in the input file.
        longest_allele: As `longest` of `stored_allele`.
    """
    limits = dict.fromkeys(TEXT_COLUMNS, LONGEST_STORED_ALLELE)
    for column in ("ref_allele", "alt_allele"):
        limits[column] = max(longest_allele, LONGEST_ABBREVIATION)
    return {column: min(longest[column], limits[column]) for column in TEXT_COLUMNS}


def stored_scores(scores: npt.NDArray[np.float32], float16: bool) -> npt.NDArray[np.floating]:
    """Scores in the type of the store; float16 is clipped to its finite range."""
    if not float16:
        return scores
    return np.clip(scores, -FLOAT16_LIMIT, FLOAT16_LIMIT).astype(np.float16)


def definitions(statistics: Sequence[str]) -> dict[str, str]:
    """The formula of each statistic."""
    return {name: STATISTICS[name].definition for name in statistics}
