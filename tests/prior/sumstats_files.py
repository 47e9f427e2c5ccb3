"""The same eight variants as every program writes them."""

import gzip
import math

import numpy as np

from tfgen.prior.sumstats.munge import munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munged import read_munged

# id, chromosome, position, effect allele, other allele, frequency of the former, beta, se
VARIANTS = [
    ("rs1", "1", 1000, "A", "G", 0.1, 0.02, 0.01),
    ("rs2", "1", 2000, "C", "T", 0.2, -0.03, 0.01),
    ("rs3", "2", 1500, "G", "T", 0.3, 0.0, 0.02),
    ("rs4", "2", 1600, "T", "G", 0.45, 0.5, 0.02),
    ("rs5", "2", 1700, "AT", "A", 0.05, -0.01, 0.04),
    ("rs6", "10", 500, "C", "A", 0.6, 0.07, 0.02),
    ("rs7", "10", 600, "G", "A", 0.7, -0.011, 0.02),
    ("rs8", "X", 700, "T", "C", 0.8, 0.005, 0.01),
]
N = 5000
IDS = [row[0] for row in VARIANTS]
Z = np.array([beta / se for *_, beta, se in VARIANTS])


def p_value(z):
    return math.erfc(abs(z) / math.sqrt(2))


def table(header, rows, separator="\t"):
    lines = [header, *([str(value) for value in row] for row in rows)]
    return "".join(separator.join(line) + "\n" for line in lines)


def _rows(*names, sex="X"):
    """Rows with the named values in this order; a name in capitals stands for itself."""
    rows = []
    for snp, chrom, pos, eff, other, af, beta, se in VARIANTS:
        z = beta / se
        values = {
            "snp": snp,
            "chrom": sex if chrom == "X" else chrom,
            "pos": pos,
            "eff": eff,
            "other": other,
            "af": af,
            "other_af": round(1 - af, 12),
            "maf": round(min(af, 1 - af), 12),
            "beta": beta,
            "or": repr(math.exp(beta)),
            "se": se,
            "z": repr(z),
            "chisq": repr(z * z),
            "p": repr(p_value(z)),
            "log10p": repr(-math.log10(p_value(z))),
            "n": N,
        }
        rows.append([values.get(name, name) for name in names])
    return rows


def _text(header, names, separator="\t", **options):
    return table(header.split(), _rows(*names.split(), **options), separator)


FILES = {
    "bolt": _text(
        "SNP CHR BP GENPOS ALLELE1 ALLELE0 A1FREQ INFO CHISQ_LINREG BETA SE CHISQ_BOLT_LMM_INF "
        "P_BOLT_LMM_INF CHISQ_BOLT_LMM P_BOLT_LMM N",
        "snp chrom pos 0.001 eff other af 0.9 1.0 beta se 4.0 0.5 chisq p n",
        sex="23",
    ),
    "plink2": _text(
        "#CHROM POS ID REF ALT A1 A1_FREQ TEST OBS_CT BETA SE T_STAT P ERRCODE",
        "chrom pos snp eff other eff af ADD n beta se z p .",
    ),
    "regenie": _text(
        "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA",
        "chrom pos snp other eff af 1 n ADD beta se chisq log10p NA",
        " ",
        sex="23",
    ),
    "fastgwa": _text("CHR SNP POS A1 A2 N AF1 BETA SE P", "chrom snp pos eff other n af beta se p"),
    "ssf": _text(
        "chromosome base_pair_location effect_allele other_allele odds_ratio standard_error "
        "effect_allele_frequency p_value variant_id rsid n",
        "chrom pos eff other or se af p 1_1_A_G snp n",
        sex="23",
    ),
    "saige": _text(
        "CHR POS MarkerID Allele1 Allele2 AC_Allele2 AF_Allele2 imputationInfo BETA SE Tstat var "
        "p.value N",
        "chrom pos snp other eff 99 af 0.8 beta se 77 0.1 p n",
    ),
    "cojo": _text("SNP A1 A2 freq b se p N", "snp eff other af beta se p n", " "),
    "ldsc": _text("SNP A1 A2 Z N", "snp eff other z n"),
    "polyfun": _text("SNP CHR BP A1 A2 Z N MAF", "snp chrom pos eff other z n maf"),
    "generic": _text(
        "rsid chromosome position effect_allele non_effect_allele eaf beta stderr pval n_total",
        "snp chrom pos eff other af beta se p n",
        ",",
    ),
}

PANEL = table(
    ["SNP", "CHR", "BP", "A1", "A2", "A1FREQ"], _rows("snp", "chrom", "pos", "eff", "other", "af")
)


def fastgwa(rows):
    lines = []
    for snp, chrom, pos, eff, other, af, beta, se in rows:
        lines.append(f"{snp}\t{chrom}\t{pos}\t{eff}\t{other}\t{N}\t{af}\t{beta}\t{se}\t0.5\n")
    return "SNP\tCHR\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP\n" + "".join(lines)


def noise(n=1500, shift=0.0):
    z = np.random.default_rng(5).normal(size=n) + shift
    return [(f"rs{i}", "1", i + 1, "A", "G", 0.3, float(z[i]) / 100, 0.01) for i in range(n)]


def write(path, text):
    """Writes text, compressed if the name ends in .gz."""
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def run(folder, text, name="in.txt", output="out.tsv", **settings):
    """Munges a text; returns the summary and what was written."""
    settings = {"progress": "none", "palindromic": "keep", **settings}
    config = MungeConfig(input=write(folder / name, text), output=folder / output, **settings)
    summary = munge(config)
    return summary, read_munged(config.output)


def rejects(folder, output="out.tsv"):
    """Line and code of the rows that were left out."""
    lines = (folder / f"{output}.rejects.tsv").read_text().splitlines()[1:]
    return [(int(line.split("\t")[0]), line.split("\t")[6]) for line in lines]
