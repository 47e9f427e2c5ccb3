"""Reference genome."""

from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pysam

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome.codes import encode
from tfgen.genome.compression import require_whole
from tfgen.genome.fasta_faults import require_fasta
from tfgen.genome.fasta_index import IndexOrigin, fitting_index
from tfgen.genome.htslib import quiet_htslib
from tfgen.genome.intervals import Interval


class Fasta:
    """Random access to a plain or bgzip FASTA file.

    Sequences are upper case whatever the file has, and read as N outside their contig. One handle
    belongs to one thread; several handles of one file may be used at the same time.

    A missing index, or one that does not describe the file, is made anew: beside the FASTA where
    that folder may be written, else in a temporary folder.

    Attributes:
        path: The file.
        contigs: Length of each contig in bases, in file order.
        index_origin: "existing", "built" (there was none) or "rebuilt" (it did not fit).
    """

    path: Path
    contigs: dict[str, int]
    index_origin: IndexOrigin

    def __init__(self, path: Path | str) -> None:
        """Opens the file.

        Raises:
            InputFormatError: The file is missing, empty, truncated, no FASTA, gzip instead of
                bgzip, or has two contigs of one name.
        """
        self.path = Path(path)
        require_fasta(self.path)
        require_whole(self.path)
        with fitting_index(self.path) as index, quiet_htslib():
            self.contigs = index.contigs
            self.index_origin = index.origin
            self._latest = (Interval("", 0, 0), np.empty(0, np.uint8))
            self._file = pysam.FastaFile(
                str(self.path),
                filepath_index=str(index.fai),
                filepath_index_compressed=None if index.gzi is None else str(index.gzi),
            )

    def fetch(self, interval: Interval) -> str:
        """The sequence of an interval: upper case, N outside the contig, `interval.width` long.

        Letters are as in the file otherwise; only `codes` refuses those that are not of DNA.

        Raises:
            InputMismatchError: The FASTA has no such contig.
            InputFormatError: The file is damaged there.
        """
        return self._padded(interval).upper()

    def codes(self, interval: Interval) -> npt.NDArray[np.uint8]:
        """The codes of an interval (see `tfgen.genome.codes`), N outside the contig.

        The latest interval is remembered, because variants that share a window ask for it again.

        Returns:
            uint8 [interval.width], writeable and not shared.

        Raises:
            InputMismatchError: The FASTA has no such contig.
            InputFormatError: The file is damaged there, or has a letter that is not of DNA.
        """
        remembered, codes = self._latest
        if not remembered.contains(interval):
            codes = self._encoded(interval)
            remembered = interval
            self._latest = (interval, codes)
        start = interval.start - remembered.start
        return codes[start : start + interval.width].copy()

    def contig_length(self, chrom: str) -> int:
        """Length of a contig in bases.

        Raises:
            InputMismatchError: The FASTA has no such contig.
        """
        try:
            return self.contigs[chrom]
        except KeyError:
            some = ", ".join(list(self.contigs)[:3])
            raise InputMismatchError(
                f"{self.path}: no contig {chrom!r}; it has {some} and {len(self.contigs)} in all"
            ) from None

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "Fasta":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _encoded(self, interval: Interval) -> npt.NDArray[np.uint8]:
        text = self._padded(interval)
        try:
            return encode(text)
        except InputFormatError as error:
            raise InputFormatError(f"{self.path}: {interval}: {error}") from error

    def _padded(self, interval: Interval) -> str:
        """The letters of an interval in the case of the file, N outside the contig."""
        inside = interval.clipped(self.contig_length(interval.chrom))
        text = self._read(inside)
        if inside.width == interval.width:
            return text
        left = min(max(inside.start - interval.start, 0), interval.width)
        return "N" * left + text + "N" * (interval.width - left - len(text))

    def _read(self, inside: Interval) -> str:
        """The letters of an interval that lies on its contig."""
        if inside.width == 0:
            return ""
        try:
            text: str = self._file.fetch(inside.chrom, inside.start, inside.end)
        except (ValueError, OSError):
            raise InputFormatError(
                f"{self.path}: is damaged at {inside}, or changed while it was open"
            ) from None
        return text
