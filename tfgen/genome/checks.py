"""Whether a variant can be used with a genome."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome.codes import AMBIGUITY
from tfgen.genome.contigs import ContigNames
from tfgen.genome.fasta import Fasta
from tfgen.genome.intervals import Interval
from tfgen.genome.status import Status
from tfgen.genome.variant_sites import upper_alleles
from tfgen.genome.variants import Variant, shorten

ReferencePolicy = Literal["skip", "swap", "error"]
"""What to do when the reference allele is not what the genome has."""

DEFAULT_MAX_INDEL: Final = 40_960
"""Bases that an indel may add or remove unless a caller says otherwise."""

_CONTEXT: Final = 5
_ALLELE_LETTERS: Final = "ACGTN"


@dataclass(frozen=True, slots=True)
class CheckedVariant:
    """A variant after `check_variant`.

    Attributes:
        variant: The variant with the FASTA's contig name where that is known, and alleles in
            upper case; when `swapped`, with its alleles exchanged so that `ref` is what the
            genome has.
        status: `OK`, or the first check that failed.
        swapped: Whether the alleles were exchanged: scores must change their sign.
        not_normalised: Whether an indel is not parsimonious or not left-aligned. It is used as
            given all the same.
        detail: What is wrong, in words; empty when `status` is `OK`.
    """

    variant: Variant
    status: Status
    swapped: bool = False
    not_normalised: bool = False
    detail: str = ""


def check_variant(
    variant: Variant,
    fasta: Fasta,
    names: ContigNames,
    max_indel: int = DEFAULT_MAX_INDEL,
    ref_policy: ReferencePolicy = "skip",
    max_allele: int | None = None,
) -> CheckedVariant:
    """Compares a variant with the genome and says whether it can be used.

    The checks run in the order of `Status`. The reference allele must equal the genome letter by
    letter, N included. Only where the genome has an ambiguity letter other than N does a base of
    it match, because a VCF must resolve such letters (VCF 4.3, section 1.6.1).

    Args:
        variant: Alleles in any case, contig name as in the variant file.
        fasta: The genome.
        names: Mapping of contig names to the FASTA's.
        max_indel: Most bases that a variant may add or remove.
        ref_policy: For a reference allele that is not in the genome: "skip" reports
            `REF_MISMATCH`; "swap" exchanges the alleles when the alternative allele is what the
            genome has (never the strand), and reports `REF_MISMATCH` otherwise; "error" raises.
        max_allele: Most bases of either allele; None allows any.

    Raises:
        UsageError: `ref_policy` is none of the three.
        InputMismatchError: The reference allele is not in the genome and `ref_policy` is "error".
        InputFormatError: The FASTA is damaged there.
    """
    if ref_policy not in ("skip", "swap", "error"):
        raise UsageError(f"ref_policy {ref_policy!r}: expected 'skip', 'swap' or 'error'")
    chrom = names.resolve(variant.chrom)
    if chrom is None:
        detail = f"contig {variant.chrom!r} is not in the FASTA"
        return CheckedVariant(variant, Status.UNKNOWN_CONTIG, detail=detail)
    ref, alt = upper_alleles((variant.ref, variant.alt))
    variant = Variant(chrom, variant.pos, ref, alt, variant.id)
    contig_length = fasta.contig_length(chrom)
    if variant.start < 0 or variant.end > contig_length:
        detail = f"{variant.pos}-{variant.end} is not within 1-{contig_length} of {chrom}"
        return CheckedVariant(variant, Status.POS_RANGE, detail=detail)
    status, detail = _allele_status(variant, max_indel, max_allele)
    if status is not Status.OK:
        return CheckedVariant(variant, status, detail=detail)
    return _check_reference(variant, fasta, ref_policy)


def _allele_status(variant: Variant, max_indel: int, max_allele: int | None) -> tuple[Status, str]:
    """What is wrong with the alleles themselves, whatever the genome."""
    status = _alt_status(variant.alt)
    if status is not Status.OK:
        return status, f"ALT {shorten(variant.alt)!r} is not a sequence"
    for name, allele in (("REF", variant.ref), ("ALT", variant.alt)):
        if not allele or allele.strip(_ALLELE_LETTERS):
            return Status.NON_ACGT, f"{name} {shorten(allele)!r} has letters other than A C G T N"
    if variant.ref == variant.alt:
        return Status.REF_EQ_ALT, f"REF and ALT are both {shorten(variant.ref)}"
    lengths = f"alleles of {len(variant.ref)} and {len(variant.alt)} bp"
    if abs(variant.length_change) > max_indel:
        detail = f"{lengths}; at most {max_indel} bp may be added or removed"
        return Status.INDEL_TOO_LONG, detail
    if max_allele is not None and max(len(variant.ref), len(variant.alt)) > max_allele:
        return Status.INDEL_TOO_LONG, f"{lengths}; an allele may have at most {max_allele} bp"
    return Status.OK, ""


def _alt_status(alt: str) -> Status:
    """The kind of an alternative allele that is not a sequence (VCF 4.3, sections 1.6.1 and 5)."""
    if alt in ("", "."):
        return Status.NO_ALT
    if alt.startswith("<"):
        return Status.SYMBOLIC
    if "[" in alt or "]" in alt:
        return Status.BREAKEND
    if "<" in alt:
        return Status.SYMBOLIC
    if alt.startswith(".") or alt.endswith("."):
        return Status.BREAKEND
    return Status.STAR if alt == "*" else Status.OK


def _check_reference(variant: Variant, fasta: Fasta, ref_policy: ReferencePolicy) -> CheckedVariant:
    """Compares the reference allele, and for a swap the alternative allele, with the genome."""
    longest = max(len(variant.ref), len(variant.alt))
    start = variant.start - _CONTEXT
    around = fasta.fetch(Interval(variant.chrom, start, variant.start + longest + _CONTEXT))
    genome = around[_CONTEXT:]
    if _matches(variant.ref, genome):
        return CheckedVariant(variant, Status.OK, not_normalised=_is_not_normalised(variant))
    if ref_policy == "swap" and genome.startswith(variant.alt):
        swapped = replace(variant, ref=variant.alt, alt=variant.ref)
        if swapped.end <= fasta.contig_length(variant.chrom):
            not_normalised = _is_not_normalised(swapped)
            return CheckedVariant(swapped, Status.OK, swapped=True, not_normalised=not_normalised)
    end = _CONTEXT + len(variant.ref)
    detail = (
        f"REF {shorten(variant.ref)}, but the genome has "
        f"{around[:_CONTEXT]}[{shorten(around[_CONTEXT:end])}]{around[end : end + _CONTEXT]}"
    )
    if ref_policy == "error":
        raise InputMismatchError(
            f"{variant} ({variant.id}): {detail}; use the matching assembly or another ref_policy"
        )
    return CheckedVariant(variant, Status.REF_MISMATCH, detail=detail)


def _matches(allele: str, genome: str) -> bool:
    """Whether the genome begins with the allele, where the allele may resolve an ambiguity."""
    if genome.startswith(allele):
        return True
    return all(
        letter == base or (letter != "N" and base in AMBIGUITY.get(letter, ""))
        for base, letter in zip(allele, genome, strict=False)
    )


def _is_not_normalised(variant: Variant) -> bool:
    """Whether an indel could be written shorter or further to the left.

    With a reference allele taken from the genome the alleles alone decide: two that end alike can
    be cut or moved to the left, two of more than one base that begin alike can be cut (Tan et al.
    2015, doi:10.1093/bioinformatics/btv112). At the first base of a contig nothing is further left.
    """
    ref, alt = variant.ref, variant.alt
    if len(ref) == len(alt):
        return False
    has_spare_base = min(len(ref), len(alt)) > 1
    if ref[-1] == alt[-1]:
        return has_spare_base or variant.pos > 1
    return has_spare_base and ref[0] == alt[0]
