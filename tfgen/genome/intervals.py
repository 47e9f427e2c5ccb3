"""Stretches of a contig."""

from dataclasses import dataclass

from tfgen.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A stretch of a contig on the forward strand, 0-based and half-open.

    A model window may reach past either end of its contig, so `start` may be negative and `end`
    may lie behind the last base; what is outside reads as N.

    Attributes:
        chrom: Contig name, as the FASTA spells it.
        start: 0-based position of the first base.
        end: 0-based position behind the last base.

    Raises:
        UsageError: `end` is smaller than `start`.
    """

    chrom: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise UsageError(
                f"interval {self.chrom}:{self.start}-{self.end} ends before it starts; "
                "intervals are 0-based and half-open, with end >= start"
            )

    @property
    def width(self) -> int:
        """Number of bases."""
        return self.end - self.start

    def contains(self, other: "Interval") -> bool:
        """Whether `other` lies wholly inside this interval, on the same contig."""
        return self.chrom == other.chrom and self.start <= other.start and other.end <= self.end

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two intervals share at least one base."""
        return self.chrom == other.chrom and max(self.start, other.start) < min(self.end, other.end)

    def clipped(self, contig_length: int) -> "Interval":
        """The part that lies on a contig of `contig_length` bases; width 0 when none does."""
        start = min(max(self.start, 0), contig_length)
        return Interval(self.chrom, start, max(start, min(self.end, contig_length)))

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start}-{self.end}"
