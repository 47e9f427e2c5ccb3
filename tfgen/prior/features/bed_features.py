"""Whether variants lie in the intervals of a BED file, and how far from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError
from tfgen.genome import VariantTable
from tfgen.genome.compression import decompressed, require_whole
from tfgen.genome.variant_table import contig_names
from tfgen.prior.features.keyed_values import Floats, by_contig
from tfgen.prior.features.source_specs import SourceSpec

OPTIONS = ("distance",)

_SKIPPED = (b"#", b"track", b"browser")
_HEADERS = (b"chrom", b"chr", b"chromosome")
_N_FIELDS = 3

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Intervals:
    """Disjoint intervals of one contig in order, 0-based and half-open.

    Attributes:
        starts: First bases [k] int64.
        ends: Ends, not part of the intervals [k] int64.
    """

    starts: Ints
    ends: Ints

    def distances(self, starts: Ints, ends: Ints) -> Ints:
        """Bases from given spans to the nearest interval.

        Args:
            starts: First bases of the spans, 0-based [m].
            ends: Their ends, not part of them [m].

        Returns:
            0 where a span overlaps an interval, 1 where it is adjacent, and so on [m].
        """
        after = np.searchsorted(self.starts, ends)
        far = np.iinfo(np.int64).max
        left = np.where(after > 0, starts - self.ends[after - 1] + 1, far)
        following = np.minimum(after, len(self.starts) - 1)
        right = np.where(after < len(self.starts), self.starts[following] - ends + 1, far)
        return np.maximum(np.minimum(left, right), 0)


def read_bed(path: Path) -> dict[str, Intervals]:
    """The union of the intervals of a BED file, per contig.

    Lines that begin with `#`, `track` or `browser` are skipped, and a first line with the names
    of the columns. Only the first three columns are used.

    Args:
        path: BED, plain, gzip or bgzip; fields separated by tabs or blanks.

    Returns:
        Contig without "chr" to its intervals.

    Raises:
        InputFormatError: The file is damaged, has no intervals, or a line that is none.
    """
    require_whole(path)
    found: dict[bytes, list[tuple[int, int]]] = {}
    with decompressed(path) as handle:
        for number, line in enumerate(handle, 1):
            if line.startswith(_SKIPPED) or line.isspace():
                continue
            fields = line.split(None, _N_FIELDS)
            if number == 1 and fields[0].lower() in _HEADERS and len(fields) >= _N_FIELDS:
                if not fields[1].isdigit():
                    continue
            start, end = _interval(path, number, fields)
            if start < end:
                found.setdefault(fields[0], []).append((start, end))
    if not found:
        raise InputFormatError(f"{path}: no intervals; expected BED lines")
    names = contig_names([name.decode(errors="replace") for name in found])
    joined: dict[str, list[tuple[int, int]]] = {}
    for name, intervals in zip(names, found.values(), strict=True):
        joined.setdefault(name, []).extend(intervals)
    return {name: _union(intervals) for name, intervals in joined.items()}


class BedSource:
    """A column that is 1 inside and 0 outside of the intervals of a BED file.

    The span of a variant is its reference allele, from its position on. With the option
    `distance=yes` a second column has log10(1 + bases to the nearest interval), missing on
    contigs that have none.

    Args:
        spec: The file.
        contigs: Contigs of the variants.

    Attributes:
        columns: `NAME` and possibly `NAME.log10_distance`; NAME is that of the file by default.
        signed: Never.
        files: The file.
        warnings: What the user should know.

    Raises:
        InputFormatError: The file cannot be read.
        UsageError: The option is neither yes nor no.
    """

    signed = False

    def __init__(self, spec: SourceSpec, contigs: Iterable[str]) -> None:
        self._with_distance = spec.yes("distance")
        self._intervals = read_bed(spec.path)
        self.files = (spec.path,)
        self.warnings: list[str] = []
        if not set(contigs) & self._intervals.keys():
            names = ", ".join(list(self._intervals)[:3])
            self.warnings.append(
                f"{spec.label}: no intervals on the contigs of the variants; it has {names}"
            )
        more = (f"{spec.stem}.log10_distance",) if self._with_distance else ()
        self.columns = (spec.stem, *more)

    def values(self, variants: VariantTable) -> Floats:
        """The columns of given variants [m, 1 or 2] float32."""
        values = np.full((len(variants), len(self.columns)), np.nan, np.float32)
        values[:, 0] = 0
        for chrom, rows in by_contig(variants):
            if chrom not in self._intervals:
                continue
            starts = variants.pos[rows] - 1
            lengths = np.array([len(allele) for allele in variants.ref[rows]], np.int64)
            distances = self._intervals[chrom].distances(starts, starts + lengths)
            values[rows, 0] = distances == 0
            if self._with_distance:
                values[rows, 1] = np.log10(1.0 + distances)
        return values


def _interval(path: Path, number: int, fields: list[bytes]) -> tuple[int, int]:
    """Start and end of a line.

    Raises:
        InputFormatError: The line is no interval.
    """
    if len(fields) < _N_FIELDS:
        raise InputFormatError(f"{path}:{number}: {len(fields)} fields; expected chrom, start, end")
    start, end = fields[1], fields[2]
    if not (start.isdigit() and end.isdigit() and len(start) < 16 and len(end) < 16):  # noqa: PLR2004
        text = f"{start.decode(errors='replace')[:20]}, {end.decode(errors='replace')[:20]}"
        raise InputFormatError(
            f"{path}:{number}: start and end are {text}; expected whole numbers from 0"
        )
    if int(end) < int(start):
        raise InputFormatError(
            f"{path}:{number}: end {int(end)} is before start {int(start)}; expected 0-based, "
            "half-open intervals"
        )
    return int(start), int(end)


def _union(intervals: list[tuple[int, int]]) -> Intervals:
    """Disjoint intervals that cover the same bases."""
    pairs = np.array(sorted(intervals), np.int64)
    furthest = np.maximum.accumulate(pairs[:, 1])
    is_first = np.r_[True, pairs[1:, 0] > furthest[:-1]]
    is_last = np.r_[is_first[1:], True]
    return Intervals(pairs[is_first, 0], furthest[is_last])
