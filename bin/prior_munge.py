#!/usr/bin/env python3
r"""Turns GWAS summary statistics of any usual format into one checked, harmonised table.

Example:
  prior_munge.py --input=height.fastGWA.gz --panel=1000G_eur.bim --build=GRCh37 \
      --output=height.tsv.gz

The table has the columns SNP CHR BP A1 A2 Z N MAF A1FREQ BETA SE; A1 is the effect allele, and with
--panel the allele that the panel counts. LDSC and PolyFun read it as it is. Beside it lie
height.tsv.gz.run.json (counts, versions) and height.tsv.gz.rejects.tsv (every row that is not in
the output, with the reason).
"""

from absl import flags

from _command import build, define_flags, run
from tfgen.prior.sumstats.munge import MungeSummary, munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_ledger import FAULTS, FILTERS

define_flags(MungeConfig)


def main(values: flags.FlagValues) -> None:
    """Munges, then says what came of it."""
    report(munge(build(MungeConfig, values)))


def report(summary: MungeSummary) -> None:
    """Prints what every filter took, and the figures to judge the statistics by."""
    print(f"{summary.output}: {summary.n_written} of {summary.n_read} rows")
    print(f"format {summary.columns.format}, build {summary.build}")
    for code, n in summary.counts.items():
        print(f"{-n:>12}  {code:<18} {FAULTS.get(code) or FILTERS[code]}")
    if summary.matches:
        for when, counts in (("before", summary.matches), ("after", summary.kept_matches)):
            ways = ", ".join(f"{n} {way}" for way, n in counts.items())
            print(f"alleles as in the panel, {when} palindromic and later filters: {ways}")
    if summary.n_flipped:
        print(f"palindromic variants on the other strand by frequency: {summary.n_flipped}")
    if summary.n_factor != 1:
        print(f"N was multiplied by {summary.n_factor:.4g}")
    print(
        f"median N {summary.median_n:,.10g}, lambda GC {summary.lambda_gc:.4g}, "
        f"mean chi-squared {summary.mean_chisq:.4g}"
    )


if __name__ == "__main__":
    run(main)
