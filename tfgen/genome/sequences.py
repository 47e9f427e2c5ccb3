"""Sequences of any length with a variant put in."""

from tfgen.errors import UsageError
from tfgen.genome.fasta import Fasta
from tfgen.genome.intervals import Interval
from tfgen.genome.variants import Variant


def alternative_sequence(fasta: Fasta, interval: Interval, variant: Variant) -> str:
    """The sequence of an interval with the alternative allele in place of the reference allele.

    Args:
        fasta: The genome; N is read outside the contig.
        interval: Where to read; the reference allele must lie wholly inside.
        variant: A variant with sequence alleles and the FASTA's contig name. Whether its
            reference allele is in the genome is what `check_variant` says.

    Returns:
        Upper case, `interval.width + variant.length_change` letters.

    Raises:
        UsageError: The variant is not wholly inside the interval.
        InputMismatchError: The FASTA has no such contig.
    """
    if not interval.contains(variant.interval):
        raise UsageError(f"variant {variant} is not wholly inside the interval {interval}")
    sequence = fasta.fetch(interval)
    left = variant.start - interval.start
    return sequence[:left] + variant.alt + sequence[left + len(variant.ref) :]
