"""The settings of a munging run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from tfgen.errors import UsageError
from tfgen.prior.sumstats.sumstats_columns import FormatName, parse_overrides

Build = Literal["unknown", "GRCh37", "GRCh38"]
PalindromicPolicy = Literal["drop", "keep", "frequency"]
NEffPolicy = Literal["none", "auto"]
MatchBy = Literal["auto", "position", "id"]
RejectsMode = Literal["all", "faults"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

OUTPUT_ENDINGS: Final = (".parquet", ".gz", ".tsv", ".txt", ".sumstats")

LARGEST_N: Final = 1e12
"""Sample sizes above this are a fault: no study has them, and their products overflow."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "format": get_args(FormatName),
    "build": get_args(Build),
    "n_eff": get_args(NEffPolicy),
    "match": get_args(MatchBy),
    "palindromic": get_args(PalindromicPolicy),
    "rejects": get_args(RejectsMode),
    "progress": get_args(ProgressMode),
}
_FRACTIONS = ("min_maf", "min_n_fraction", "max_frequency_difference", "max_rejected_fraction")


def _setting(help_text: str, **options: Any) -> Any:
    """A field with the help of the flag of the same name."""
    return field(metadata={"help": help_text}, **options)


@dataclass(frozen=True, kw_only=True)
class MungeConfig:
    """Everything that a user decides about a munging run; each field is a flag.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    input: Path = _setting("Summary statistics: text (plain, gzip or bgzip) or parquet.")
    output: Path = _setting(
        "Table to write: .parquet, .tsv.gz, .sumstats.gz, or a plain .tsv, .txt or .sumstats."
    )
    format: FormatName = _setting("Format of --input; auto tells it by the header.", default="auto")
    columns: tuple[str, ...] = _setting(
        "FIELD:column for columns with other names, as Z:my_z,N:count; FIELD: ignores the field.",
        default=(),
    )
    panel: Path | None = _setting(
        "Variants to harmonise with: a .bim or .bim.gz, a table (text or parquet) with CHR SNP BP "
        "A1 A2 and if known A1FREQ, or an LD store folder.",
        default=None,
    )
    match: MatchBy = _setting(
        "How variants are found in --panel; auto: by position, or by id if there is none.",
        default="auto",
    )
    build: Build = _setting("Genome build of the positions in --input.", default="unknown")
    n: float | None = _setting("Sample size of all variants, instead of a column.", default=None)
    n_cases: float | None = _setting("Number of cases, instead of columns.", default=None)
    n_controls: float | None = _setting("Number of controls, instead of columns.", default=None)
    n_eff: NEffPolicy = _setting(
        "auto: multiplies N of a BOLT-LMM file by the median of its chi-squared over that of "
        "linear regression, where the former is above 30.",
        default="none",
    )
    min_info: float = _setting("Smallest imputation quality that is kept.", default=0.6)
    min_maf: float = _setting("Smallest minor allele frequency that is kept.", default=0.001)
    min_n_fraction: float = _setting(
        "Smallest N that is kept, as a share of its 90th percentile; 0 keeps all.", default=2 / 3
    )
    keep_hla: bool = _setting("Keep chromosome 6, 28 to 34 Mb.", default=False)
    palindromic: PalindromicPolicy = _setting(
        "A/T and C/G variants: drop; keep, as on the strand of the panel; or tell the strand by "
        "the frequency.",
        default="drop",
    )
    max_frequency_difference: float = _setting(
        "Largest difference from the frequency in --panel that is kept.", default=0.2
    )
    qc: bool = _setting(
        "Drop variants whose N, frequency, BETA and SE imply a variance of the trait outside 0.5 "
        "to 1.5 times the median.",
        default=False,
    )
    allow_skewed: bool = _setting(
        "Go on if the median z-score is further than 0.1 from 0.", default=False
    )
    max_rejected_fraction: float = _setting(
        "Share of faulty rows above which the exit code is 7; filtered rows are no faults.",
        default=0.05,
    )
    rejects: RejectsMode = _setting(
        "What OUTPUT.rejects.tsv lists: all rows that are not in the output, or the faulty ones.",
        default="all",
    )
    overwrite: bool = _setting("Replace an existing output.", default=False)
    progress: ProgressMode = _setting("How progress is shown on stderr.", default="auto")

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"{name} is {value!r}; use one of {', '.join(choices)}")
        for name in _FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1")
        for name in ("n", "n_cases", "n_controls"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST_N:
                raise UsageError(
                    f"{name} is {value}; expected a number above 0, at most {LARGEST_N:g}"
                )
        if not 0 <= self.min_info < float("inf"):
            raise UsageError(f"min_info is {self.min_info}; expected a number from 0")
        self._check_pairs()
        if self.output.suffix not in OUTPUT_ENDINGS:
            raise UsageError(
                f"{self.output}: unknown ending; use one of {', '.join(OUTPUT_ENDINGS)}"
            )
        parse_overrides(self.columns)

    def _check_pairs(self) -> None:
        """Stops at settings that contradict each other."""
        if (self.n_cases is None) != (self.n_controls is None):
            raise UsageError("n_cases and n_controls go together; give both or neither")
        if self.n is not None and self.n_cases is not None:
            raise UsageError("n and n_cases both give the sample size; use one of them")
        if self.panel is None and self.match != "auto":
            raise UsageError(f"match={self.match} needs --panel")
        if self.panel is None and self.palindromic == "frequency":
            raise UsageError("palindromic=frequency needs --panel with frequencies")

    @property
    def overrides(self) -> dict[str, str]:
        """Field to the name of its column, as `columns` says."""
        return parse_overrides(self.columns)
