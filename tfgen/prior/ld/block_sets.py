"""How a genome is divided into LD blocks, so that every variant is observed in exactly one.

A block has a centre: its variants are observed, those of the whole block have effects. Blocks that
do not overlap are all centre. Where neighbouring blocks overlap, the centre of the one ends and
that of the next begins in the middle of the overlap; so 3-Mb windows that slide by 1 Mb have their
middle megabase as centre, and the first and last window of a contiguous run reach to its ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, UsageError
from tfgen.genome import VariantTable
from tfgen.genome.compression import decompressed, require_whole
from tfgen.genome.variant_table import contig_names
from tfgen.prior.ld.ld_block import chromosome_order

WINDOW = 3_000_000
CENTRE = 1_000_000

_LARGEST_POSITION = 1 << 40  # no contig is as long
_BED_FIELDS = 3


@dataclass(frozen=True)
class Region:
    """A stretch of a contig with its centre; all coordinates 0-based and half-open."""

    chrom: str
    start: int
    end: int
    centre_start: int
    centre_end: int

    @property
    def id(self) -> str:
        """Name of the block, for example `chr22_16000000_19000000`."""
        return f"chr{self.chrom}_{self.start}_{self.end}"


@dataclass(frozen=True)
class BlockPlan:
    """A block and its variants.

    Attributes:
        id: Name, for example `chr22_16000000_19000000`.
        chrom: Contig without "chr".
        start: First base, 0-based.
        end: End, not part of it.
        centre_start: First base of the centre, 0-based.
        centre_end: End of the centre, not part of it.
        rows: Rows of its variants in the table, by position [n].
        in_centre: Which of them are observed [n] bool.
    """

    id: str
    chrom: str
    start: int
    end: int
    centre_start: int
    centre_end: int
    rows: npt.NDArray[np.int64]
    in_centre: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of variants."""
        return len(self.rows)

    @property
    def w(self) -> int:
        """Number of observed variants."""
        return int(np.count_nonzero(self.in_centre))


@dataclass(frozen=True)
class BlockSet:
    """The blocks of a table of variants.

    Attributes:
        plans: Blocks with at least one observed variant, in genome order.
        without_block: Rows of the variants that lie in no region [m].
    """

    plans: tuple[BlockPlan, ...]
    without_block: npt.NDArray[np.int64]


def with_centres(chrom: str, spans: Iterable[tuple[int, int]], where: str = "") -> list[Region]:
    """Gives the spans of one contig their centres.

    Args:
        chrom: The contig.
        spans: (start, end) 0-based and half-open, in any order.
        where: File that they come from, for messages.

    Raises:
        InputFormatError: One lies within another.
    """
    ordered = sorted(spans)
    for (start, end), (next_start, next_end) in pairwise(ordered):
        if next_start == start or next_end <= end:
            raise InputFormatError(
                f"{where or 'blocks'}: {chrom}:{next_start}-{next_end} and {chrom}:{start}-{end} "
                "lie within each other; remove one of them"
            )
    # Between two spans: where the centre of the first ends and that of the second begins.
    edges = [
        ((end + start) // 2,) * 2 if start < end else (end, start)
        for (_, end), (start, _) in pairwise(ordered)
    ]
    starts = [*(span[0] for span in ordered[:1]), *(edge[1] for edge in edges)]
    ends = [*(edge[0] for edge in edges), *(span[1] for span in ordered[-1:])]
    # Both ends grow from span to span, so the edges do too and no centre is empty.
    return [
        Region(chrom, *span, *centre)
        for span, centre in zip(ordered, zip(starts, ends, strict=True), strict=True)
    ]


def read_block_bed(path: Path) -> list[Region]:
    """Reads blocks that do not overlap from a BED file.

    Args:
        path: Fields contig, start, end (0-based, half-open), separated by tabs or spaces; further
            fields are ignored, a header line is recognised by words in the place of numbers.

    Returns:
        The regions in genome order; the whole of each is its centre.

    Raises:
        InputFormatError: A malformed line, or blocks that overlap.
    """
    regions = []
    for chrom, spans in _read_spans(path, offset=0).items():
        for (start, end), (next_start, next_end) in pairwise(sorted(spans)):
            if next_start < end:
                raise InputFormatError(
                    f"{path}: {chrom}:{start}-{end} and {chrom}:{next_start}-{next_end} overlap; "
                    "blocks must not, else some variants would be observed twice"
                )
        regions += [Region(chrom, *span, *span) for span in spans]
    return in_genome_order(regions)


def read_windows(path: Path) -> list[Region]:
    """Reads overlapping windows from a table such as `ukb_regions.tsv.gz` of PolyFun.

    Args:
        path: Fields CHR, START, END (1-based, END not part of the window) and others, with a
            header.

    Returns:
        The windows in genome order with their centres.

    Raises:
        InputFormatError: A malformed line, or windows within each other.
    """
    found = _read_spans(path, offset=1)
    regions = [with_centres(chrom, spans, str(path)) for chrom, spans in found.items()]
    return in_genome_order(region for group in regions for region in group)


def sliding_windows(
    variants: VariantTable, window: int = WINDOW, centre: int = CENTRE
) -> list[Region]:
    """Windows that slide by the length of their centre and cover all variants.

    Windows begin at multiples of `centre`, as the published LD of UK Biobank.

    Args:
        variants: The variants to cover.
        window: Length in bases.
        centre: Length of the centre in bases.

    Raises:
        UsageError: The centre is not shorter than the window, or cannot lie in its middle.
    """
    if not 0 < centre < window or (window - centre) % 2:
        raise UsageError(
            f"window {window} with a centre of {centre}; expected a shorter centre and an even "
            "difference"
        )
    regions = []
    for chrom, positions in _by_contig(variants).items():
        first, last = int(positions.min()) - 1, int(positions.max()) - 1
        start = first // centre * centre
        n_steps = max(0, -(-(last + 1 - start - window) // centre))
        spans = [(start + i * centre, start + i * centre + window) for i in range(n_steps + 1)]
        regions += with_centres(chrom, spans)
    return in_genome_order(regions)


def whole_chromosomes(variants: VariantTable) -> list[Region]:
    """One block per contig, from its first to its last variant."""
    regions = []
    for chrom, positions in _by_contig(variants).items():
        span = (int(positions.min()) - 1, int(positions.max()))
        regions.append(Region(chrom, *span, *span))
    return in_genome_order(regions)


def plan_blocks(variants: VariantTable, regions: Sequence[Region]) -> BlockSet:
    """Finds the variants of every region.

    Args:
        variants: The variants in any order.
        regions: Regions whose centres do not overlap.

    Returns:
        The blocks; regions without an observed variant are left out.

    Raises:
        UsageError: A variant would be observed twice, because centres overlap.
    """
    order = np.argsort(variants.pos, kind="stable")
    times = np.zeros(len(variants), np.int64)
    plans = []
    for chrom in dict.fromkeys(region.chrom for region in in_genome_order(regions)):
        rows = order[variants.chrom[order] == chrom]
        starts = variants.pos[rows] - 1
        for region in in_genome_order(region for region in regions if region.chrom == chrom):
            low, high = np.searchsorted(starts, (region.start, region.end))
            inside = starts[low:high]
            in_centre = (inside >= region.centre_start) & (inside < region.centre_end)
            chosen = rows[low:high]
            times[chosen[in_centre]] += 1
            if np.any(in_centre):
                plans.append(BlockPlan(region.id, *_corners(region), chosen, in_centre))
    if np.any(times > 1):
        label = variants.label(int(np.flatnonzero(times > 1)[0]))
        raise UsageError(
            f"{label} would be observed twice; give blocks whose centres do not overlap"
        )
    return BlockSet(tuple(plans), np.flatnonzero(times == 0))


def in_genome_order(regions: Iterable[Region]) -> list[Region]:
    """Regions by contig (1 to 22, X, Y, MT, others) and start."""
    return sorted(regions, key=lambda region: (chromosome_order(region.chrom), region.start))


def _corners(region: Region) -> tuple[str, int, int, int, int]:
    return region.chrom, region.start, region.end, region.centre_start, region.centre_end


def _by_contig(variants: VariantTable) -> dict[str, npt.NDArray[np.int64]]:
    """Positions of every contig, without those that PLINK writes for unplaced variants."""
    placed = (variants.pos > 0) & (variants.chrom != "0")
    names = dict.fromkeys(variants.chrom[placed].tolist())
    return {name: variants.pos[placed & (variants.chrom == name)] for name in names}


def _read_spans(path: Path, offset: int) -> dict[str, list[tuple[int, int]]]:
    """Contig to its (start, end), 0-based and half-open; `offset` is subtracted from both."""
    spans: dict[str, list[tuple[int, int]]] = {}
    require_whole(path)
    with decompressed(path) as stream:
        for number, raw in enumerate(stream, start=1):
            fields = raw.decode("utf-8", "replace").split()
            if not fields or fields[0].startswith("#") or fields[0] in ("track", "browser"):
                continue
            numbers = fields[1:_BED_FIELDS]
            if number == 1 and not any(text.lstrip("-").isdecimal() for text in numbers):
                continue
            try:
                start, end = (int(text) - offset for text in numbers)
            except ValueError as error:
                raise InputFormatError(
                    f"{path}:{number}: {' '.join(fields[:_BED_FIELDS])!r}; expected contig, start "
                    "and end"
                ) from error
            if not 0 <= start < end <= _LARGEST_POSITION:
                raise InputFormatError(
                    f"{path}:{number}: start {start + offset}, end {end + offset}; expected "
                    f"{offset} <= start < end, within a contig"
                )
            chrom = str(contig_names([fields[0]])[0])
            spans.setdefault(chrom, []).append((start, end))
    if not spans:
        raise InputFormatError(f"{path}: no blocks; expected lines of contig, start and end")
    return spans
