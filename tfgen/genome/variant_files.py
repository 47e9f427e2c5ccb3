"""Variants of any file format, one ALT at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tfgen.errors import InputFormatError, UsageError
from tfgen.genome.compression import decompressed
from tfgen.genome.variant_bcf import VariantBcf
from tfgen.genome.variant_text import VariantText
from tfgen.genome.variants import Variant, VariantRecord

VariantFormat = Literal["auto", "vcf", "bcf", "tsv"]
"""How a file is read; "auto" tells BCF from VCF and never takes a table of sites for a VCF."""

_BCF_MAGIC: Final = b"BCF"


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """What one pass over a variant file finds out.

    Attributes:
        n_rows: Output rows: alternative alleles, with one for a record that has none.
        n_records: Records of the file.
        max_chrom_length: Longest contig name, in bytes of UTF-8.
        max_id_length: Longest identifier, in bytes of UTF-8.
        max_ref_length: Longest reference allele, in bytes of UTF-8.
        max_alt_length: Longest single alternative allele, in bytes of UTF-8.
        contigs: Contig names of the records in the order of their first occurrence.
        contig_lengths: Lengths of the `##contig` lines of the header, in bases.
    """

    n_rows: int
    n_records: int
    max_chrom_length: int
    max_id_length: int
    max_ref_length: int
    max_alt_length: int
    contigs: tuple[str, ...]
    contig_lengths: dict[str, int] = field(default_factory=dict)


def read_variants(path: Path | str, file_format: VariantFormat = "auto") -> Iterator[VariantRecord]:
    """Reads a variant file from start to end, one record per ALT, in input order.

    Only the first five columns are used. Nothing is dropped, sorted, trimmed or checked against a
    genome: records that cannot be scored come out with the alleles they have.

    Args:
        path: VCF (plain, gzip or bgzip; sorted or not; seven columns will do), BCF, or a table.
        file_format: "tsv" reads a table of chrom, pos, id, ref, alt and anything behind them.

    Yields:
        Records with row numbers from 0. A record without ALT gives one row with the ALT "." (or
        "", as in the file).

    Raises:
        InputFormatError: The file is missing, empty, truncated, of another format, or has a line
            that cannot be parsed.
        UsageError: `file_format` is unknown.
    """
    row = 0
    for site in _source(Path(path), file_format).sites():
        for alt_index, alt in enumerate(site.alts, 1):
            variant = Variant(site.chrom, site.pos, site.ref, alt, site.id)
            yield VariantRecord(row, site.line, alt_index, variant)
            row += 1


def scan_variants(path: Path | str, file_format: VariantFormat = "auto") -> VariantSummary:
    """Counts rows and measures columns in one pass, so that outputs can be laid out beforehand.

    Args:
        path: As for `read_variants`.
        file_format: As for `read_variants`.

    Raises:
        InputFormatError: As for `read_variants`; a file that passes here can be read to its end.
        UsageError: `file_format` is unknown.
    """
    source = _source(Path(path), file_format)
    n_rows = n_records = longest_id = longest_ref = longest_alt = 0
    contigs: dict[str, None] = {}
    for site in source.sites():
        n_records += 1
        n_rows += len(site.alts)
        contigs[site.chrom] = None
        longest_id = max(longest_id, _n_bytes(site.id))
        longest_ref = max(longest_ref, _n_bytes(site.ref))
        for alt in site.alts:
            longest_alt = max(longest_alt, _n_bytes(alt))
    return VariantSummary(
        n_rows=n_rows,
        n_records=n_records,
        max_chrom_length=max((_n_bytes(name) for name in contigs), default=0),
        max_id_length=longest_id,
        max_ref_length=longest_ref,
        max_alt_length=longest_alt,
        contigs=tuple(contigs),
        contig_lengths=source.contig_lengths,
    )


def _n_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _source(path: Path, file_format: VariantFormat) -> VariantText | VariantBcf:
    """The reader for a file.

    Raises:
        InputFormatError: The file cannot be read, or is BCF where a text was asked for or the
            other way round.
        UsageError: `file_format` is unknown.
    """
    if file_format not in ("auto", "vcf", "bcf", "tsv"):
        raise UsageError(f"file_format {file_format!r}: expected auto, vcf, bcf or tsv")
    with decompressed(path) as handle:
        is_bcf = handle.read(len(_BCF_MAGIC)) == _BCF_MAGIC
    if file_format != "auto" and is_bcf != (file_format == "bcf"):
        found = "BCF" if is_bcf else "not BCF"
        raise InputFormatError(f"{path}: is {found}, but was to be read as {file_format}")
    return VariantBcf(path) if is_bcf else VariantText(path, is_table=file_format == "tsv")
