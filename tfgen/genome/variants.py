"""Variants as a file states them."""

from dataclasses import dataclass

from tfgen.genome.intervals import Interval


@dataclass(frozen=True, slots=True)
class Variant:
    """One REF/ALT pair at a position of a contig.

    Nothing is checked here, so that a faulty record can be carried to its report;
    `tfgen.genome.check_variant` decides whether a variant can be used.

    Attributes:
        chrom: Contig name.
        pos: 1-based position of the first base of `ref`, as in a VCF.
        ref: Reference allele, upper case.
        alt: Alternative allele, upper case; one only.
        id: Identifier, "." where the file has none.
    """

    chrom: str
    pos: int
    ref: str
    alt: str
    id: str = "."

    @property
    def start(self) -> int:
        """0-based position of the first base of the reference allele."""
        return self.pos - 1

    @property
    def end(self) -> int:
        """0-based position behind the last base of the reference allele."""
        return self.pos - 1 + len(self.ref)

    @property
    def interval(self) -> Interval:
        """The bases that the reference allele covers, 0-based and half-open."""
        return Interval(self.chrom, self.start, self.end)

    @property
    def is_substitution(self) -> bool:
        """Whether both alleles have the same length, so that no other base moves."""
        return len(self.ref) == len(self.alt)

    @property
    def length_change(self) -> int:
        """Bases gained (positive) or lost (negative) by the alternative allele."""
        return len(self.alt) - len(self.ref)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.pos} {shorten(self.ref)}>{shorten(self.alt)}"


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """One ALT of one record of a variant file, with the place it came from.

    Attributes:
        row: 0-based output row: one per ALT, in input order.
        line: 1-based line of the file; for BCF the 1-based record number.
        alt_index: 1-based index of the ALT within its record.
        variant: The alleles as the file has them, in upper case.
    """

    row: int
    line: int
    alt_index: int
    variant: Variant


def shorten(allele: str, limit: int = 24) -> str:
    """An allele for a message: whole when short, else its start and its length in bases."""
    if len(allele) <= limit:
        return allele
    return f"{allele[:limit]}...({len(allele)} bp)"
