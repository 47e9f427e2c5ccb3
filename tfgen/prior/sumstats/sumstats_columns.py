"""Which column of a summary-statistics file means what.

One table per format says under which header names its values stand; names are compared without
regard to case. Sources: the documentation of BOLT-LMM, PLINK 2, regenie, GCTA (fastGWA, COJO),
SAIGE, LDSC and PolyFun, and the GWAS-SSF standard of the GWAS Catalog.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tfgen.errors import InputFormatError, UsageError

FormatName = Literal[
    "auto",
    "bolt",
    "plink2",
    "regenie",
    "fastgwa",
    "ssf",
    "saige",
    "cojo",
    "ldsc",
    "polyfun",
    "generic",
]

FIELDS: Final[Mapping[str, str]] = {
    "SNP": "identifier",
    "CHR": "chromosome",
    "BP": "1-based position in base pairs",
    "A1": "effect allele",
    "A2": "other allele",
    "REF": "reference allele (PLINK 2)",
    "ALT": "alternative alleles (PLINK 2)",
    "A1FREQ": "frequency of A1",
    "MAF": "minor allele frequency, or the frequency of an allele that is not said",
    "INFO": "imputation quality",
    "BETA": "effect of one copy of A1, or log odds ratio",
    "OR": "odds or hazard ratio of A1",
    "SE": "standard error of BETA, or of the logarithm of OR",
    "Z": "z-score (or t statistic) of A1",
    "CHISQ_BOLT_LMM": "chi-squared statistic of BOLT-LMM",
    "CHISQ_BOLT_LMM_INF": "chi-squared statistic of the infinitesimal model of BOLT-LMM",
    "CHISQ_LINREG": "chi-squared statistic of linear regression",
    "P": "P value",
    "LOG10P": "-log10 of the P value",
    "N": "sample size",
    "N_CASES": "number of cases",
    "N_CONTROLS": "number of controls",
    "TEST": "name of the test in this row; only ADD is kept",
}

TEXT_FIELDS: Final = frozenset({"SNP", "CHR", "A1", "A2", "REF", "ALT", "TEST"})
"""Fields that are no numbers."""


@dataclass(frozen=True)
class SumstatsFormat:
    """A format of summary statistics.

    Attributes:
        name: Its name.
        signature: Header names that tell it, lower case.
        columns: Field to the header names that it may have, lower case, the best first.
    """

    name: str
    signature: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ColumnMap:
    """Where the fields of one file stand.

    Attributes:
        format: Name of the format.
        index: Field to the 0-based number of its column.
        names: Field to the name of its column as the header has it.
    """

    format: str
    index: Mapping[str, int]
    names: Mapping[str, str]

    def __contains__(self, field: str) -> bool:
        """Whether the file has a field."""
        return field in self.index

    @property
    def has_positions(self) -> bool:
        """Whether variants have a chromosome and a position."""
        return "CHR" in self and "BP" in self


def _format(name: str, signature: str, **columns: str) -> SumstatsFormat:
    aliases = {field: tuple(names.split()) for field, names in columns.items()}
    return SumstatsFormat(name, frozenset(signature.split()), aliases)


FORMATS: Final[tuple[SumstatsFormat, ...]] = (
    # GENPOS of BOLT-LMM is in centimorgans; that of regenie is in base pairs.
    _format(
        "bolt",
        "snp chr bp allele1 allele0",
        SNP="snp",
        CHR="chr",
        BP="bp",
        A1="allele1",
        A2="allele0",
        A1FREQ="a1freq",
        INFO="info",
        BETA="beta",
        SE="se",
        CHISQ_BOLT_LMM="chisq_bolt_lmm",
        CHISQ_BOLT_LMM_INF="chisq_bolt_lmm_inf",
        CHISQ_LINREG="chisq_linreg",
        P="p_bolt_lmm p_bolt_lmm_inf",
        N="n",
        N_CASES="n_cases",
        N_CONTROLS="n_controls",
    ),
    # A1 is the tested allele and may be REF or ALT; the other one is OMITTED if that is there.
    _format(
        "plink2",
        "chrom pos id ref alt a1",
        SNP="id",
        CHR="chrom",
        BP="pos",
        A1="a1",
        A2="omitted",
        REF="ref",
        ALT="alt",
        A1FREQ="a1_freq",
        INFO="mach_r2",
        BETA="beta",
        OR="or",
        SE="se log(or)_se",
        Z="z_stat t_stat z_or_f_stat t_or_f_stat",
        P="p",
        LOG10P="log10_p neg_log10_p",
        N="obs_ct",
        TEST="test",
    ),
    _format(
        "regenie",
        "chrom genpos id allele0 allele1",
        SNP="id",
        CHR="chrom",
        BP="genpos",
        A1="allele1",
        A2="allele0",
        A1FREQ="a1freq",
        INFO="info",
        BETA="beta",
        SE="se",
        LOG10P="log10p",
        N="n",
        N_CASES="n_cases",
        N_CONTROLS="n_controls",
        TEST="test",
    ),
    _format(
        "fastgwa",
        "chr snp pos a1 a2 af1 beta se p",
        SNP="snp",
        CHR="chr",
        BP="pos",
        A1="a1",
        A2="a2",
        A1FREQ="af1",
        INFO="info",
        BETA="beta",
        SE="se",
        P="p",
        N="n",
    ),
    _format(
        "ssf",
        "chromosome base_pair_location effect_allele other_allele",
        SNP="rsid rs_id variant_id",
        CHR="chromosome",
        BP="base_pair_location",
        A1="effect_allele",
        A2="other_allele",
        A1FREQ="effect_allele_frequency",
        INFO="info",
        BETA="beta",
        OR="odds_ratio hazard_ratio",
        SE="standard_error",
        P="p_value",
        LOG10P="neg_log_10_p_value",
        N="n",
        N_CASES="n_cases num_cases",
        N_CONTROLS="n_controls num_controls",
    ),
    # The effect is that of Allele2, and Tstat is a score statistic, not a t statistic.
    _format(
        "saige",
        "chr pos allele1 allele2 af_allele2 beta p.value",
        SNP="rsid markerid snpid",
        CHR="chr",
        BP="pos",
        A1="allele2",
        A2="allele1",
        A1FREQ="af_allele2",
        INFO="imputationinfo",
        BETA="beta",
        SE="se",
        P="p.value",
        N="n",
        N_CASES="n_case",
        N_CONTROLS="n_ctrl",
    ),
    _format(
        "cojo",
        "snp a1 a2 freq b se p n",
        SNP="snp",
        A1="a1",
        A2="a2",
        A1FREQ="freq",
        BETA="b",
        SE="se",
        P="p",
        N="n",
    ),
    _format("ldsc", "snp a1 a2 z", SNP="snp", A1="a1", A2="a2", Z="z", N="n", A1FREQ="a1freq"),
    _format(
        "polyfun",
        "snp chr bp a1 a2 z",
        SNP="snp",
        CHR="chr",
        BP="bp",
        A1="a1",
        A2="a2",
        Z="z",
        N="n",
        MAF="maf",
        A1FREQ="a1freq",
        INFO="info",
        BETA="beta",
        SE="se",
    ),
)

_GENERIC = _format(
    "generic",
    "",
    SNP="snp snpid rsid rs_id rs id marker markername markerid variant variant_id variantid",
    CHR="chr chrom chromosome",
    BP="bp pos position base_pair_location",
    A1="a1 ea effect_allele tested_allele",
    A2="a2 a0 oa nea other_allele non_effect_allele noneffect_allele",
    A1FREQ="a1freq a1_freq af1 eaf effect_allele_freq effect_allele_frequency",
    # Of which allele is not said; good enough for the filter.
    MAF="maf frq freq af minor_allele_frequency",
    INFO="info info_score imputationinfo rsq",
    BETA="beta b eff effect effects logor log_odds",
    OR="or odds_ratio hr hazard_ratio",
    SE="se stderr standard_error sebeta log(or)_se",
    Z="z zscore z_score z_stat zstat",
    CHISQ_BOLT_LMM="chisq_bolt_lmm",
    CHISQ_BOLT_LMM_INF="chisq_bolt_lmm_inf",
    CHISQ_LINREG="chisq_linreg",
    P="p pval p_val pvalue p_value p-value p.value",
    LOG10P="log10p log10_p mlog10p mlogp neglog10p neg_log10_p neg_log_10_p_value",
    N="n n_total ntotal n_samples n_eff neff samplesize sample_size totalsamplesize obs_ct",
    N_CASES="n_cases n_case ncase ncases n_cas nca",
    N_CONTROLS="n_controls n_control ncontrol ncontrols n_ctrl n_con nco",
    TEST="test",
)

_BY_NAME: Final = {fmt.name: fmt for fmt in (*FORMATS, _GENERIC)}
_UNCLEAR_ALLELES = (("allele1", "allele2"), ("ref", "alt"))


def parse_overrides(entries: Sequence[str]) -> dict[str, str]:
    """Reads `FIELD:column` entries: which column holds a field, "" for none.

    Raises:
        UsageError: An entry has another form, or names an unknown field or one twice.
    """
    found: dict[str, str] = {}
    for entry in entries:
        field, colon, column = entry.partition(":")
        field = field.strip().upper()
        if not colon or field not in FIELDS:
            raise UsageError(
                f"columns: {entry!r}; expected FIELD:column with FIELD one of {', '.join(FIELDS)}"
            )
        if field in found:
            raise UsageError(f"columns: {field} is given twice; give it once")
        found[field] = column.strip()
    return found


def resolve_columns(
    path: Path, header: Sequence[str], name: FormatName, overrides: Mapping[str, str]
) -> ColumnMap:
    """Finds out where the fields stand.

    Args:
        path: The file, for messages.
        header: Names of its columns.
        name: Its format; auto tells it by the header, and takes usual names if it is none.
        overrides: Field to the name of its column, "" for no column.

    Raises:
        InputFormatError: The header fits several formats, several columns could be one field, a
            name stands twice, or alleles or effects are missing.
    """
    fmt = _detect(path, header) if name == "auto" else _BY_NAME[name]
    lower = [column.lower() for column in header]
    index: dict[str, int] = {}
    for field, aliases in fmt.columns.items():
        if field in overrides:
            continue
        present = [alias for alias in aliases if alias in lower]
        if len(present) > 1 and fmt is _GENERIC:
            raise InputFormatError(
                f"{path}: {field} ({FIELDS[field]}) could be any of the columns "
                f"{', '.join(header[lower.index(alias)] for alias in present)}; choose with "
                f"--columns={field}:{header[lower.index(present[0])]}"
            )
        if present:
            index[field] = _only(path, lower, present[0], header)
    for field, column in overrides.items():
        if column:
            index[field] = _only(path, lower, column.lower(), header)
    _require_alleles(path, header, index)
    _require_effects(path, header, index)
    return ColumnMap(fmt.name, index, {field: header[i] for field, i in index.items()})


def _detect(path: Path, header: Sequence[str]) -> SumstatsFormat:
    """The format with the most special signature that the header has; generic if there is none."""
    names = {column.lower() for column in header}
    fits = [fmt for fmt in FORMATS if fmt.signature <= names]
    best = [fmt for fmt in fits if not any(fmt.signature < other.signature for other in fits)]
    if len(best) > 1:
        raise InputFormatError(
            f"{path}: the header fits the formats {', '.join(fmt.name for fmt in best)} (columns "
            f"{', '.join(header)}); choose with --format"
        )
    return best[0] if best else _GENERIC


def _only(path: Path, lower: Sequence[str], column: str, header: Sequence[str]) -> int:
    """The number of the one column of this name."""
    if column not in lower:
        raise InputFormatError(f"{path}: no column {column!r}; the file has {', '.join(header)}")
    if lower.count(column) > 1:
        raise InputFormatError(f"{path}: repeated column {column!r}; give each its own name")
    return lower.index(column)


def _require_alleles(path: Path, header: Sequence[str], index: Mapping[str, int]) -> None:
    if "SNP" not in index and not ("CHR" in index and "BP" in index):
        raise InputFormatError(
            f"{path}: no columns CHR and BP, and no SNP (columns {', '.join(header)}); say which "
            "they are, as in --columns=CHR:my_chromosome,BP:my_position"
        )
    if "A1" in index and ("A2" in index or ("REF" in index and "ALT" in index)):
        return
    lower = [column.lower() for column in header]
    for first, second in _UNCLEAR_ALLELES:
        if first in lower and second in lower:
            pair = [header[lower.index(first)], header[lower.index(second)]]
            raise InputFormatError(
                f"{path}: which of {pair[0]} and {pair[1]} is the effect allele is not said; pass "
                f"--columns=A1:{pair[1]},A2:{pair[0]} if it is {pair[1]}, else the reverse"
            )
    raise InputFormatError(
        f"{path}: no columns for the effect allele A1 and the other allele A2 (columns "
        f"{', '.join(header)}); say which they are with --columns=A1:...,A2:..."
    )


def _require_effects(path: Path, header: Sequence[str], index: Mapping[str, int]) -> None:
    signed = "BETA" in index or "OR" in index
    sized = any(
        field in index for field in ("SE", "P", "LOG10P", "CHISQ_BOLT_LMM", "CHISQ_BOLT_LMM_INF")
    )
    if "Z" not in index and not (signed and sized):
        raise InputFormatError(
            f"{path}: no z-score, and no effect (BETA or OR) with SE or P (columns "
            f"{', '.join(header)}); say which they are, as in --columns=Z:my_z"
        )
