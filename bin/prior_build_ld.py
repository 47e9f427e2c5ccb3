#!/usr/bin/env python3
r"""Builds an LD store from the genotypes of a panel or from published LD matrices.

Example:
  prior_build_ld.py --bed=1000G_eur_chr22 --blocks=bed --block_file=grch37.eur.loci.bed \
      --output=ld_store

The output is a folder with one HDF5 file per chromosome (see docs/ld-store.md), the lists
dropped_variants.tsv and variants_without_block.tsv, and run.json. With --sumstats (from
prior_munge.py) the z-scores are compared with the LD: mismatch.tsv and mismatch_blocks.tsv. A run
that was stopped or killed goes on when it is started again.

  prior_build_ld.py --source=ukb_npz --ukb=UKBB_LD --block_file=ukb_regions.tsv.gz \
      --blocks=regions --chroms=22 --output=ukb_ld
"""

import sys

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.ld.build_ld import BuildSummary, ChromosomeReport, build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig

define_flags(BuildLdConfig)

_LINE = "{:>6} {:>7} {:>10} {:>10} {:>9} {:>6} {:>9} {:>10}"


def main(values: flags.FlagValues) -> None:
    """Builds, then says how large the store is and what is not in it."""
    config = build(BuildLdConfig, values)
    if config.sumstats is not None:
        import_tensorflow()
    report(build_ld(config), config)


def report(summary: BuildSummary, config: BuildLdConfig) -> None:
    """Prints the sizes per chromosome, then what was left out and what stands out."""
    print(_LINE.format("chrom", "blocks", "n", "w", "k", "k/w", "GB", "discarded"))
    for row in (*summary.chromosomes, summary.total):
        print(line(row))
    for code, n in summary.dropped.items():
        print(f"dropped, {code}: {n:,} variants")
    print(f"in no block: {summary.n_without_block:,} variants")
    if config.variants is not None:
        print(f"not in {config.variants}: {summary.n_not_listed:,} variants")
    if config.source == "ukb_npz":
        print(f"without a frequency: {summary.n_without_frequency:,} variants")
    if summary.mismatch is not None:
        found = summary.mismatch
        print(
            f"z-scores of {found.n_variants:,} variants: {found.n_flagged:,} unlike their "
            f"neighbours, {found.n_flipped:,} probably with the wrong sign; "
            f"{len(found.flagged_blocks)} of {found.n_blocks} blocks do not fit"
        )
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{summary.output}: {summary.digest}")


def line(row: ChromosomeReport) -> str:
    """One line of the table of sizes."""
    return _LINE.format(
        row.chrom,
        row.n_blocks,
        row.n,
        row.w,
        row.k,
        f"{row.k / row.w:.3f}",
        f"{row.file_bytes / 1e9:.3g}",
        f"{row.discarded_variance:.3g}",
    )


if __name__ == "__main__":
    run(main)
