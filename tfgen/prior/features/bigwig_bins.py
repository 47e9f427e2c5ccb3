"""Signal of bigWig files around variants, in bins that widen with the distance or base by base.

The offsets of a bin are relative to the first base of the reference allele, which has offset 0,
and half-open. Bases that a file does not cover count as 0, as do those beyond the end of a contig.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import ContigNames, VariantTable
from tfgen.prior.features.bigwig_header import require_bigwig
from tfgen.prior.features.keyed_values import Floats, by_contig
from tfgen.prior.features.source_specs import SourceSpec

Transform = Literal["none", "log1p", "arcsinh"]
Bins = tuple[tuple[int, int], ...]

_LARGEST_GAP = 1 << 12
_LONGEST_READ = 1 << 20


def symmetric_bins(widths: Sequence[int]) -> Bins:
    """Bins around a variant: one of the first width, then two of every further one.

    Args:
        widths: Widths in bases, from the middle outwards.

    Returns:
        First base and base behind the last of every bin, from left to right.
    """
    start = -(widths[0] // 2)
    bins = [(start, start + widths[0])]
    for width in widths[1:]:
        left, right = bins[0][0], bins[-1][1]
        bins = [(left - width, left), *bins, (right, right + width)]
    return tuple(bins)


def base_bins(window: int) -> Bins:
    """One bin per base of a window, which has the variant at window // 2."""
    return tuple((base, base + 1) for base in range(-(window // 2), window - window // 2))


def bin_label(start: int, end: int) -> str:
    """Offsets of the first and the last base of a bin: `-16..-1`, or `0` for one base."""
    return str(start) if end == start + 1 else f"{start}..{end - 1}"


class BigwigSignal:
    """The mean signal of one bigWig file in bins around variants.

    Args:
        spec: The file.
        bins: The bins.
        transform: Applied to every mean; log1p is refused where the signal is negative.
        contigs: Contigs of the variants.

    Attributes:
        name: Name of the track.
        columns: Names of the columns when every bin is one: `NAME:-16..-1`.
        signed: Never.
        files: The file.
        warnings: What the user should know.

    Raises:
        InputFormatError: No bigWig file, or a damaged one.
        InputMismatchError: It has none of the contigs.
    """

    signed = False

    def __init__(
        self, spec: SourceSpec, bins: Bins, transform: Transform, contigs: Iterable[str]
    ) -> None:
        self.name = spec.stem
        self.files = (spec.path,)
        self.columns = tuple(f"{spec.stem}:{bin_label(*edges)}" for edges in bins)
        self.warnings: list[str] = []
        self._path = spec.path
        self._edges = np.array(bins, np.int64)
        self._transform = transform
        self._file = _open(spec.path)
        self._lengths: dict[str, int] = dict(self._file.chroms())
        self._names = ContigNames(self._lengths)
        contigs = list(dict.fromkeys(contigs))
        missing = [chrom for chrom in contigs if self._names.resolve(chrom) is None]
        if len(missing) == len(contigs):
            raise InputMismatchError(
                f"{spec.path}: none of the contigs {', '.join(contigs[:3])}; it has "
                f"{', '.join(list(self._lengths)[:3])}; use the file of the right genome"
            )
        if missing:
            self.warnings.append(
                f"{spec.label}: no contig {', '.join(missing)}; its values are missing"
            )

    def values(self, variants: VariantTable) -> Floats:
        """Mean signal in every bin [m, bins] float32; NaN where the file lacks the contig.

        Raises:
            InputFormatError: The file is damaged, or has negative signal and log1p is asked for.
            InputMismatchError: A variant lies behind the end of its contig.
        """
        values = np.full((len(variants), len(self._edges)), np.nan, np.float32)
        for chrom, rows in by_contig(variants):
            name = self._names.resolve(chrom)
            if name is not None:
                values[rows] = self._on_contig(name, variants.pos[rows] - 1)
        return values

    def _on_contig(self, name: str, starts: npt.NDArray[np.int64]) -> Floats:
        length = self._lengths[name]
        if starts.size and starts.max() >= length:
            raise InputMismatchError(
                f"{self._path}: a variant at {name}:{starts.max() + 1}, behind its end at "
                f"{length}; use the file of the right genome build"
            )
        order = np.argsort(starts, kind="stable")
        means = np.empty((len(starts), len(self._edges)), np.float64)
        reach = int(self._edges.max() - self._edges.min())
        for run in _runs(starts[order], reach):
            rows = order[run]
            first = int(starts[rows[0]] + self._edges.min())
            last = int(starts[rows[-1]] + self._edges.max())
            signal = self._signal(name, first, last, length)
            sums = np.r_[0.0, np.cumsum(signal)]
            edges = starts[rows][:, None, None] + self._edges - first
            widths = self._edges[:, 1] - self._edges[:, 0]
            bins = (sums[edges[..., 1]] - sums[edges[..., 0]]) / widths
            # Single bases without the rounding of the sums.
            bins[:, widths == 1] = signal[edges[:, widths == 1, 0]]
            means[rows] = bins
        return self._transformed(name, means).astype(np.float32)

    def _signal(self, name: str, first: int, last: int, length: int) -> npt.NDArray[np.float64]:
        """The signal of the bases first..last, 0 where there is none."""
        signal = np.zeros(last - first)
        start, stop = max(first, 0), min(last, length)
        try:
            found: npt.NDArray[Any] = self._file.values(name, start, stop, numpy=True)
        except RuntimeError as error:
            raise InputFormatError(
                f"{self._path}: {name}:{start}-{stop} cannot be read ({error}); the file is damaged"
            ) from error
        signal[start - first : stop - first] = np.nan_to_num(found, posinf=np.nan, neginf=np.nan)
        if np.isnan(signal).any():
            raise InputFormatError(f"{self._path}: infinite signal in {name}:{start}-{stop}")
        return signal

    def _transformed(self, name: str, means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self._transform == "arcsinh":
            return np.arcsinh(means)
        if self._transform == "log1p":
            # Rounding of sums may leave a tiny negative mean where there is no signal.
            if means.min(initial=0.0) < -1e-6:  # noqa: PLR2004
                raise InputFormatError(
                    f"{self._path}: negative signal on {name} ({means.min():g}), of which log1p "
                    "has no meaning; use --bigwig_transform=arcsinh"
                )
            return np.log1p(np.maximum(means, 0.0))
        return means


def _open(path: Path) -> Any:
    """The open file.

    Raises:
        InputFormatError: No bigWig file, or a damaged one.
    """
    import pyBigWig

    require_bigwig(path)
    try:
        return pyBigWig.open(str(path))
    except RuntimeError as error:
        raise InputFormatError(f"{path}: a damaged bigWig file ({error}); get it again") from error


def _runs(starts: npt.NDArray[np.int64], reach: int) -> list[npt.NDArray[np.int64]]:
    """Divides sorted positions into runs whose windows are read at once."""
    far = np.diff(starts) > reach + _LARGEST_GAP
    # A long run is cut where its positions pass into another stretch of the contig.
    stretch = np.diff(starts // _LONGEST_READ) > 0
    return np.split(np.arange(len(starts)), np.flatnonzero(far | stretch) + 1)
