"""Records of variant files before their alternative alleles are split."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_CONTIG_NAME: Final = re.compile(r"^##contig=<(?:.*,)?ID=([^,>]+)")
_CONTIG_LENGTH: Final = re.compile(r"[<,]length=([0-9]{1,18})[,>]")


class Site(NamedTuple):
    """One record of a variant file.

    Attributes:
        line: 1-based line of a text file, or record number of a BCF.
        chrom: Contig name.
        pos: 1-based position; not checked, so it may be zero or negative.
        id: Identifier, "." when missing.
        ref: Reference allele as in the file, upper case.
        alts: Alternative alleles as in the file, sequences in upper case; one empty or "." when
            there is none.
    """

    line: int
    chrom: str
    pos: int
    id: str
    ref: str
    alts: tuple[str, ...]


def upper_alleles(alleles: Iterable[str]) -> tuple[str, ...]:
    """Sequences in upper case; names of contigs in breakends and symbolic alleles as they are."""
    return tuple(allele.upper() if allele.isalpha() else allele for allele in alleles)


def contig_length(header_line: str) -> tuple[str, int] | None:
    """Name and length in bases of a `##contig` line; None for any line that has not both."""
    name, length = _CONTIG_NAME.match(header_line), _CONTIG_LENGTH.search(header_line)
    return None if name is None or length is None else (name.group(1), int(length.group(1)))
