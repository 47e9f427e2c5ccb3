"""Reference and alternative sequence of one variant in a window of fixed length."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError
from tfgen.genome.checks import CheckedVariant
from tfgen.genome.codes import N_CODE, encode
from tfgen.genome.fasta import Fasta
from tfgen.genome.intervals import Interval
from tfgen.genome.status import Status
from tfgen.genome.variants import Variant

MAX_PADDED_FRACTION = 0.5
"""A window with a larger share outside its contig says nothing about the variant."""


@dataclass(frozen=True, slots=True, eq=False)
class VariantWindow:
    """The two sequences that a model compares for one variant.

    Both have the length of `window` and agree up to `offset`. Behind the variant they agree too
    when the variant is a substitution; an indel moves everything to its right, and there the
    alternative sequence is cut, or extended from the genome, to the length of the window.

    Attributes:
        variant: The variant with the FASTA's contig name; `ref` is what the genome has.
        window: The stretch of the genome that `ref_codes` covers; it may reach past the contig.
        offset: 0-based index of the first base of the variant in both sequences.
        ref_codes: uint8 [length], reference sequence (codes of `tfgen.genome.codes`).
        alt_codes: uint8 [length], alternative sequence.
        swapped: The file has the two alleles the other way round, so that a score of
            alternative minus reference must change its sign.
        n_padded: Positions of the reference window outside the contig.
        n_fraction: Share of N in the reference window, padding included.
        status: `OK`, `WINDOW_OFF_CONTIG` or `N_FRACTION`.
        detail: What is wrong, in words; empty when `status` is `OK`.
    """

    variant: Variant
    window: Interval
    offset: int
    ref_codes: npt.NDArray[np.uint8]
    alt_codes: npt.NDArray[np.uint8]
    swapped: bool
    n_padded: int
    n_fraction: float
    status: Status = Status.OK
    detail: str = ""

    @property
    def is_substitution(self) -> bool:
        """Whether both alleles have the same length."""
        return self.variant.is_substitution

    @property
    def indel_shift(self) -> bool:
        """Whether bases right of the variant stand at other indices in the two sequences."""
        return not self.variant.is_substitution


def centred_window(variant: Variant, length: int) -> Interval:
    """The window of `length` bases with the first base of the variant at index `length // 2`.

    The same for every class of variant. It may reach past either end of the contig.

    Raises:
        UsageError: `length` is below 1.
    """
    if length < 1:
        raise UsageError(f"window length {length}: expected a positive number of bases")
    start = variant.start - length // 2
    return Interval(variant.chrom, start, start + length)


def longest_centred_allele(length: int) -> int:
    """Bases of the longest reference allele that a centred window of `length` can hold."""
    return length - length // 2


def variant_window(
    fasta: Fasta,
    checked: CheckedVariant,
    window: Interval,
    max_n_fraction: float | None = None,
) -> VariantWindow:
    """Builds both sequences of a checked variant for a window anywhere around it.

    The left flank stays where it is in the genome; behind the alternative allele the genome goes
    on until the window is full, with N past the end of the contig. The reference allele is
    written into the reference sequence, which matters only where the genome has an ambiguity
    letter that the allele resolves.

    Args:
        fasta: The genome.
        checked: A variant that passed `check_variant` on the same FASTA.
        window: Where to cut; the reference allele must lie wholly inside.
        max_n_fraction: Largest allowed share of N in the reference window; None allows any.

    Returns:
        Both sequences. A window that is mostly outside the contig, or has more N than allowed,
        is returned as well, with its `status` set.

    Raises:
        UsageError: The variant failed its check, or is not wholly inside the window.
        InputFormatError: The FASTA has a letter there that is no DNA letter.
    """
    variant = checked.variant
    if checked.status is not Status.OK:
        raise UsageError(
            f"variant {variant} has status {checked.status}; only OK variants have sequences"
        )
    if not window.contains(variant.interval):
        raise UsageError(
            f"variant {variant} is not wholly inside the window {window}; "
            "choose a longer window or a smaller largest indel"
        )
    offset = variant.start - window.start
    extra = max(0, -variant.length_change)
    genome = fasta.codes(Interval(window.chrom, window.start, window.end + extra))
    ref_allele, alt_allele = encode(variant.ref), encode(variant.alt)
    ref_codes = genome[: window.width].copy()
    ref_codes[offset : offset + ref_allele.size] = ref_allele
    right = genome[offset + ref_allele.size :]
    alt_codes = np.concatenate([genome[:offset], alt_allele, right])[: window.width]
    n_padded = window.width - window.clipped(fasta.contigs[window.chrom]).width
    n_fraction = np.count_nonzero(ref_codes == N_CODE) / window.width
    status, detail = _window_status(window, n_padded, n_fraction, max_n_fraction)
    return VariantWindow(
        variant=variant,
        window=window,
        offset=offset,
        ref_codes=ref_codes,
        alt_codes=alt_codes,
        swapped=checked.swapped,
        n_padded=n_padded,
        n_fraction=n_fraction,
        status=status,
        detail=detail,
    )


def _window_status(
    window: Interval, n_padded: int, n_fraction: float, max_n_fraction: float | None
) -> tuple[Status, str]:
    """What is wrong with the window itself, whatever the variant."""
    if n_padded > MAX_PADDED_FRACTION * window.width:
        detail = f"{n_padded} of {window.width} positions of {window} are outside the contig"
        return Status.WINDOW_OFF_CONTIG, detail
    if max_n_fraction is not None and n_fraction > max_n_fraction:
        detail = f"N fraction {n_fraction:.4f} of {window} is above {max_n_fraction:g}"
        return Status.N_FRACTION, detail
    return Status.OK, ""
