"""Records of variant files before their alternative alleles are split."""

from typing import NamedTuple


class Site(NamedTuple):
    """One record of a variant file.

    Attributes:
        line: 1-based line of a text file, or record number of a BCF.
        chrom: Contig name.
        pos: 1-based position; not checked, so it may be zero or negative.
        id: Identifier, "." when missing.
        ref: Reference allele as in the file, upper case.
        alts: Alternative alleles as in the file, upper case; one empty or "." when there is none.
    """

    line: int
    chrom: str
    pos: int
    id: str
    ref: str
    alts: tuple[str, ...]
