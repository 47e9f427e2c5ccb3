"""What became of a variant."""

from enum import StrEnum


class Status(StrEnum):
    """Why a variant has a score (`OK`) or has none (everything else).

    The checks run in the order of the members, and the first that fails names the status.
    """

    OK = "OK"
    """The variant can be scored."""
    UNKNOWN_CONTIG = "UNKNOWN_CONTIG"
    """The FASTA has no contig of that name, nor of one that maps to it uniquely."""
    POS_RANGE = "POS_RANGE"
    """The position is below 1, or the reference allele runs past the end of the contig."""
    NO_ALT = "NO_ALT"
    """The alternative allele is missing or is '.'."""
    SYMBOLIC = "SYMBOLIC"
    """The alternative allele is a symbol such as <DEL>, not a sequence."""
    BREAKEND = "BREAKEND"
    """The alternative allele is a breakend such as G]17:198982]."""
    STAR = "STAR"
    """The alternative allele is '*': the base is deleted by another record."""
    NON_ACGT = "NON_ACGT"
    """An allele is empty or has a letter other than A, C, G, T and N."""
    REF_EQ_ALT = "REF_EQ_ALT"
    """Both alleles are the same."""
    INDEL_TOO_LONG = "INDEL_TOO_LONG"
    """An allele is longer than the run allows."""
    REF_MISMATCH = "REF_MISMATCH"
    """The reference allele is not what the genome has at that position."""
    WINDOW_OFF_CONTIG = "WINDOW_OFF_CONTIG"
    """More than half of the window lies outside the contig."""
    N_FRACTION = "N_FRACTION"
    """The window has a larger share of N than the run allows."""
