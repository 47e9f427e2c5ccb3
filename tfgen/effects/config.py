"""The settings of a scoring run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.effects.statistics import STATISTICS, check_statistics
from tfgen.effects.windows import WINDOW_MODES, WindowMode
from tfgen.errors import UsageError
from tfgen.genome import DEFAULT_MAX_INDEL, ReferencePolicy, VariantFormat
from tfgen.io.shards import parse_rows, shard_range

BadRecordPolicy = Literal["keep", "error"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "variants_format": get_args(VariantFormat),
    "windows": WINDOW_MODES,
    "ref_policy": get_args(ReferencePolicy),
    "on_bad_record": get_args(BadRecordPolicy),
    "progress": get_args(ProgressMode),
}
_FRACTIONS = ("max_rejected_fraction", "max_n_fraction", "verify_fraction")


def _setting(help_text: str, choices: Sequence[str] = (), **options: Any) -> Any:
    """A field with the help, and where needed the values, of the flag of the same name."""
    metadata: dict[str, object] = {"help": help_text}
    if choices:
        metadata["choices"] = tuple(choices)
    return field(metadata=metadata, **options)


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """Everything that a user decides about a scoring run; each field is a flag.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    model: Path = _setting("Model to score with: a SavedModel folder or the name of a model.")
    fasta: Path = _setting("Reference genome: FASTA, plain or bgzip.")
    vcf: Path = _setting("Variants to score: VCF (plain, gzip or bgzip), BCF or TSV.")
    output: Path = _setting("Score store to write (HDF5).")
    variants_format: VariantFormat = _setting(
        "Format of --vcf. tsv: columns chrom, pos, id, ref, alt without a header.", default="auto"
    )
    targets: Path | None = _setting(
        "Targets table (TSV) of the output tracks to keep; all tracks by default.", default=None
    )
    organism: str = _setting(
        "Head of the model; by default 'human', or the first one without that.", default=""
    )
    statistics: tuple[str, ...] = _setting(
        "Statistics to compute.", choices=tuple(STATISTICS), default=("SAD", "SAR", "tCRA")
    )
    windows: WindowMode = _setting(
        "centred: the variant in the middle of its own window, the published definition. "
        "shared: windows on a fixed tiling of the genome, several times faster where variants "
        "are dense.",
        default="centred",
    )
    batch_size: int = _setting("Windows per pass of the model's tower; 0 chooses.", default=0)
    max_indel: int = _setting(
        "Most bases that an indel may add or remove to be scored.", default=DEFAULT_MAX_INDEL
    )
    ref_policy: ReferencePolicy = _setting(
        "A REF that is not in the genome: skip (no score), swap (if the genome has ALT there), "
        "or error.",
        default="skip",
    )
    on_bad_record: BadRecordPolicy = _setting(
        "A record that cannot be scored: keep its row without a score, or stop with an error.",
        default="keep",
    )
    max_rejected_fraction: float = _setting(
        "Share of rows without a score above which the exit code is 7.", default=0.05
    )
    max_n_fraction: float = _setting("Largest share of N in a window that is scored.", default=0.5)
    contig_map: Path | None = _setting(
        "TSV of two columns, contig name in --vcf and in --fasta, where they cannot be matched.",
        default=None,
    )
    verify_fraction: float = _setting(
        "Share of rows that are computed again in full, to report the largest deviation.",
        default=0.01,
    )
    seed: int = _setting("Seed of the choice of rows to verify.", default=0)
    float16: bool = _setting("Store scores as float16, clipped to +-65504.", default=False)
    num_shards: int = _setting("Number of parts the rows are divided into.", default=1)
    shard_index: int = _setting("The part to score, from 0.", default=0)
    rows: str = _setting(
        "START:STOP, the rows to score (0-based, one per ALT) instead of a shard.", default=""
    )
    overwrite: bool = _setting(
        "Replace an existing output, or a started one with other settings.", default=False
    )
    progress: ProgressMode = _setting("How progress is shown on stderr.", default="auto")
    allow_untrusted_model: bool = _setting(
        "Load a SavedModel that tfgen did not write; a SavedModel can run code.", default=False
    )

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"{name} is {value!r}; use one of {', '.join(choices)}")
        for name in _FRACTIONS:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}; expected a fraction from 0 to 1")
        if self.batch_size < 0:
            raise UsageError(f"batch_size is {self.batch_size}; expected 1 or more, or 0 for auto")
        if self.max_indel < 0:
            raise UsageError(f"max_indel is {self.max_indel}; expected 0 or more bases")
        check_statistics(self.statistics)
        shard_range(0, self.shard_index, self.num_shards)
        if self.rows:
            parse_rows(self.rows)
            if self.num_shards != 1:
                raise UsageError("rows and num_shards both choose rows; use one of them")
