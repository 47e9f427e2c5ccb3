"""Variants in BCF files."""

from collections.abc import Iterator
from pathlib import Path

import pysam

from tfgen.errors import InputFormatError
from tfgen.genome.compression import compression, require_whole
from tfgen.genome.htslib import quiet_htslib
from tfgen.genome.variant_sites import Site, contig_length, upper_alleles


class VariantBcf:
    """The records of a BCF file.

    Attributes:
        contig_lengths: Lengths of the contigs of the header, in bases, where it has them.
    """

    def __init__(self, path: Path) -> None:
        """Prepares to read a file."""
        self.path = path
        self.contig_lengths: dict[str, int] = {}

    def sites(self) -> Iterator[Site]:
        """Reads the records in file order.

        Raises:
            InputFormatError: The file cannot be read, is truncated or damaged; the message has the
                number of the record.
        """
        if compression(self.path) == "gzip":
            raise InputFormatError(f"{self.path}: is BCF in gzip; recompress with bgzip")
        require_whole(self.path)
        number = 0
        try:
            with self._open() as records:
                contigs = (line for line in records.header.records if line.key == "contig")
                self.contig_lengths = dict(filter(None, map(contig_length, map(str, contigs))))
                while (record := _next(records)) is not None:
                    number += 1
                    yield _site(number, record)
        except (OSError, ValueError) as error:
            raise InputFormatError(
                f"{self.path}: cannot be read as BCF behind record {number} ({error})"
            ) from error

    def _open(self) -> pysam.VariantFile:
        with quiet_htslib():
            return pysam.VariantFile(str(self.path), drop_samples=True)


def _next(records: pysam.VariantFile) -> pysam.VariantRecord | None:
    """The next record, None at the end. Silence must not last while the caller works."""
    with quiet_htslib():
        return next(records, None)


def _site(number: int, record: pysam.VariantRecord) -> Site:
    """The first five columns of a record, alleles in upper case."""
    alts = upper_alleles(record.alts or (".",))
    return Site(number, record.chrom, record.pos, record.id or ".", record.ref.upper(), alts)
