"""The settings of a build of an LD store."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tfgen.errors import UsageError

LdSource = Literal["bed", "ukb_npz"]
BlockKind = Literal["auto", "windows", "regions", "bed", "chromosomes"]
LdFix = Literal["error", "clip", "shrink"]
QType = Literal["float16", "float32"]
ProgressMode = Literal["auto", "bar", "lines", "none"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "source": get_args(LdSource),
    "blocks": get_args(BlockKind),
    "ld_fix": get_args(LdFix),
    "q_dtype": get_args(QType),
    "progress": get_args(ProgressMode),
}
_RANGES = {
    "max_missing": (0, 1),
    "min_maf": (0, 0.5),
    "eps": (0, 1),
    "var_kept": (0, 1),
    "shrink": (0, 1),
    "max_memory_gb": (0, math.inf),
    "n_ref": (0, math.inf),
}


def _setting(help_text: str, **options: Any) -> Any:
    """A field with the help of the flag of the same name."""
    return field(metadata={"help": help_text}, **options)


@dataclass(frozen=True, kw_only=True)
class BuildLdConfig:
    """Everything that a user decides about an LD store; each field is a flag.

    Raises:
        UsageError: A value has no meaning, or two contradict each other.
    """

    output: Path = _setting("LD store to write (a folder).")
    source: LdSource = _setting(
        "Where the LD comes from. bed: genotypes of a panel (PLINK 1). ukb_npz: the published "
        "matrices of UK Biobank.",
        default="bed",
    )
    bed: Path | None = _setting("Genotypes: a .bed file, or its name without .bed.", default=None)
    bim: Path | None = _setting("Variants of --bed, if not beside it; may be gzip.", default=None)
    fam: Path | None = _setting("People of --bed, if not beside it.", default=None)
    ukb: Path | None = _setting(
        "Folder with chr22_16000001_19000001.npz and .gz for every window.", default=None
    )
    blocks: BlockKind = _setting(
        "windows: overlapping windows; regions: overlapping windows of --block_file (PolyFun "
        "format); bed: blocks of --block_file (BED) that do not overlap; chromosomes: one block "
        "each, for small data. auto: windows for --source=bed, else the matrices that are there.",
        default="auto",
    )
    block_file: Path | None = _setting("Blocks for --blocks=bed or regions.", default=None)
    window: int = _setting("Length of a window in bases.", default=3_000_000)
    centre: int = _setting(
        "Length of the observed middle of a window in bases; windows slide by it.",
        default=1_000_000,
    )
    variants: Path | None = _setting(
        "Use only these variants: .bim, VCF, or a table such as prior_munge.py writes. Alleles "
        "stay those of the panel.",
        default=None,
    )
    chroms: tuple[str, ...] = _setting("Chromosomes to build; all by default.", default=())
    build: str = _setting("Genome build of the positions.", default="GRCh37")
    panel: str = _setting("Name of the panel; by default that of the input.", default="")
    n_ref: int = _setting(
        "People behind the matrices of --source=ukb_npz; 0: 337545, as published.", default=0
    )
    max_missing: float = _setting(
        "Largest share of unknown genotypes of a variant that is used.", default=0.1
    )
    min_maf: float = _setting("Least minor allele frequency of a variant that is used.", default=0)
    eps: float = _setting("Eigenvalues up to this are dropped.", default=1e-4)
    var_kept: float = _setting(
        "Share of the variance of a block to keep: 0.995 for a panel, 0.9999 for LD of the GWAS "
        "sample itself.",
        default=0.995,
    )
    shrink: float = _setting("s of (1 - s) R + s I, which replaces the LD R.", default=0.0)
    ld_fix: LdFix = _setting(
        "LD with an eigenvalue below -eps: error; clip negative ones and scale the diagonal back; "
        "or shrink by the least s that mends it.",
        default="error",
    )
    q_dtype: QType = _setting("Type in which Q is stored.", default="float16")
    sumstats: Path | None = _setting(
        "z-scores (from prior_munge.py) to compare with the LD; writes mismatch.tsv and "
        "mismatch_blocks.tsv into the store.",
        default=None,
    )
    max_memory_gb: float = _setting(
        "Memory that one block may take, in GB; 0: what is free now.", default=0.0
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
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value}; expected {low} to {high}")
        if self.var_kept == 0 or self.shrink == 1:
            raise UsageError("var_kept 0 and shrink 1 leave no LD; use values in between")
        self._check_source()
        self._check_blocks()

    def _check_source(self) -> None:
        needed, other = ("bed", "ukb") if self.source == "bed" else ("ukb", "bed")
        if getattr(self, needed) is None:
            raise UsageError(f"source {self.source} needs --{needed}")
        if getattr(self, other) is not None:
            raise UsageError(f"--{other} has no use with source {self.source}; leave it out")
        if self.source == "ukb_npz" and self.min_maf:
            raise UsageError("the matrices of ukb_npz have no frequencies; use --variants")
        if self.source == "bed" and self.n_ref:
            raise UsageError("n_ref is counted in --bed; leave it out")

    def _check_blocks(self) -> None:
        if self.source == "ukb_npz" and self.blocks not in ("auto", "regions"):
            raise UsageError(
                f"blocks {self.blocks} cannot be cut from the matrices of ukb_npz; use auto or "
                "regions"
            )
        needs_file = self.blocks in ("bed", "regions")
        if needs_file != (self.block_file is not None):
            need = "needs" if needs_file else "has no use for"
            raise UsageError(f"blocks {self.blocks} {need} --block_file")
        if not 0 < self.centre < self.window or (self.window - self.centre) % 2:
            raise UsageError(
                f"window {self.window} with a centre of {self.centre}; expected a shorter centre "
                "and an even difference"
            )
