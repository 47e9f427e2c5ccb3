"""The settings of a run that annotates variants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.errors import UsageError

BigwigMode = Literal["bins", "window"]
SignalTransform = Literal["none", "log1p", "arcsinh"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "bigwig_mode": get_args(BigwigMode),
    "bigwig_transform": get_args(SignalTransform),
    "progress": get_args(ProgressMode),
}
_FRACTIONS = ("min_coverage", "max_rejected_fraction")
_LARGEST_WINDOW = 1 << 16
_LARGEST_REACH = 1_000_000
_MOST_DIGITS = 18


def _setting(help_text: str, **options: Any) -> Any:
    """A field with the help of the flag of the same name."""
    return field(metadata={"help": help_text}, **options)


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Everything that a user decides about the features of variants; each field is a flag.

    Raises:
        UsageError: A value has no meaning, two contradict each other, or no source is given.
    """

    variants: Path = _setting(
        "Variants to annotate: .bim[.gz], VCF/BCF, LD store (a folder), or a table with CHR SNP BP "
        "A1 A2."
    )
    output: Path = _setting("Feature store to write (HDF5).")
    annot: tuple[str, ...] = _setting(
        "LDSC .annot[.gz] or PolyFun .annot.parquet, as [NAME=]PATH; @ in the file name stands for "
        "the chromosome. Options :columns=A+B, :bim=FILE (of a thin file).",
        default=(),
    )
    bed: tuple[str, ...] = _setting(
        "BED intervals, as [NAME=]PATH: 1 inside, 0 outside. Option :distance=yes.", default=()
    )
    bigwig: tuple[str, ...] = _setting("bigWig signal around variants, as [NAME=]PATH.", default=())
    bigwig_mode: BigwigMode = _setting(
        "bins: means in bins that widen with the distance, as annotations. window: the signal base "
        "by base, as tracks.",
        default="bins",
    )
    bigwig_bins: tuple[str, ...] = _setting(
        "Widths of the bins in bases, from the middle outwards: one of the first, two of each "
        "other; together at most 1,000,000.",
        default=("1", "16", "64", "256", "1024"),
    )
    window: int = _setting("Bases of the window of --bigwig_mode=window.", default=256)
    bigwig_transform: SignalTransform = _setting(
        "Applied to the mean of a bin, or to the signal of a base.", default="none"
    )
    scores: tuple[str, ...] = _setting(
        "Score stores of variants_score.py, as [NAME=]PATH; matched by alleles.", default=()
    )
    score_statistic: str = _setting("Which scores are read.", default="SAD")
    score_tracks: tuple[str, ...] = _setting(
        "Numbers of the tracks from 0, or 'all'.", default=("all",)
    )
    score_components: int = _setting(
        "Replace the tracks of a score store by so many principal components; 0 keeps the tracks.",
        default=0,
    )
    score_abs: bool = _setting(
        "Drop the sign of scores: it belongs to an allele and has no meaning for a variance.",
        default=True,
    )
    distance_to: tuple[str, ...] = _setting(
        "Tables of positions, as [NAME=]PATH: log10(1 + bases to the nearest). Options "
        ":header=no, :chrom=, :pos= (names or numbers of columns).",
        default=(),
    )
    table: tuple[str, ...] = _setting(
        "Columns of any table, as [NAME=]PATH:columns=A+B. Options :header=no, :chrom=, :pos=, "
        ":a1=, :a2=, :snp=, :transform=neglog10|abs|log1p, :agg=max|min|mean|count, "
        ":region=CHR:START-END, :absent=zero, :signed=yes, :multi=max|min|mean (cells as 1;.;3).",
        default=(),
    )
    ld_store: Path | None = _setting(
        "LD store for --ld_score, and for frequencies that the list of variants lacks.",
        default=None,
    )
    ld_score: bool = _setting("Add the LD score of the panel.", default=False)
    maf: bool = _setting("Add the frequency of the rarer allele.", default=False)
    log_af: bool = _setting("Add the log10 of the frequency of the rarer allele.", default=False)
    build: str = _setting("Genome build of the variants, for example GRCh37; kept.", default="")
    min_coverage: float = _setting(
        "Warn about annotations that a smaller share of the variants has.", default=0.5
    )
    max_rejected_fraction: float = _setting(
        "Share of unusable rows in the list of variants above which the exit code is 7.",
        default=0.05,
    )
    overwrite: bool = _setting(
        "Replace an existing output, or a started one with other settings.", default=False
    )
    progress: ProgressMode = _setting("How progress is shown on stderr.", default="auto")

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"{name} is {value!r}; use one of {', '.join(choices)}")
        for name in _FRACTIONS:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}; expected a fraction from 0 to 1")
        if not 1 <= self.window <= _LARGEST_WINDOW:
            raise UsageError(f"window is {self.window}; expected 1 to {_LARGEST_WINDOW} bases")
        if self.score_components < 0:
            raise UsageError(f"score_components is {self.score_components}; expected 0 or more")
        if not all(self.bin_widths):
            raise UsageError("bigwig_bins: a width is 0; expected widths of at least 1 base")
        if sum(self.bin_widths) > _LARGEST_REACH:
            raise UsageError(
                f"bigwig_bins: {sum(self.bin_widths)} bases in all widths together; expected at "
                f"most {_LARGEST_REACH}"
            )
        _ = self.tracks
        if self.ld_score and self.ld_store is None:
            raise UsageError("ld_score needs the panel; give --ld_store too")
        if not (self.sources or self.ld_score or self.maf or self.log_af):
            raise UsageError(
                "no source of features; give at least one of --annot, --bed, --bigwig, --scores, "
                "--distance_to, --table, --ld_score, --maf, --log_af"
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """Everything that was given as a source with a path."""
        return (
            *self.annot,
            *self.bed,
            *self.bigwig,
            *self.scores,
            *self.distance_to,
            *self.table,
        )

    @property
    def bin_widths(self) -> tuple[int, ...]:
        """Widths of the bins in bases, from the middle outwards.

        Raises:
            UsageError: One is no whole number, or there are none.
        """
        return _whole_numbers("bigwig_bins", self.bigwig_bins)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of the tracks of score stores; none stands for all.

        Raises:
            UsageError: One is no whole number.
        """
        if self.score_tracks == ("all",):
            return ()
        return _whole_numbers("score_tracks", self.score_tracks)


def _whole_numbers(name: str, words: Sequence[str]) -> tuple[int, ...]:
    if not words or not all(
        word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS for word in words
    ):
        raise UsageError(f"{name} is {','.join(words)!r}; expected whole numbers")
    return tuple(int(word) for word in words)
