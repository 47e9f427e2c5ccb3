#!/usr/bin/env python3
r"""Annotates variants for the functional prior.

Example:
  prior_features.py --variants=panel.bim --annot=baseline.@.annot.gz --bed=DHS=dhs.bed.gz \
      --bigwig=H3K27ac.bw --distance_to=tss=genes.tsv --maf --build=GRCh37 --output=features.h5

The output is an HDF5 file with one row per variant in the order of the list: annotations [variants,
columns] with NaN where a value is missing, and with --bigwig_mode=window the signal base by base.
Beside it lie features.h5.run.json (time, coverage) and features.h5.rejects.tsv (rows of the list
that cannot be used). A run that was stopped or killed goes on when it is started again.

A source is [NAME=]PATH[:option=value...]; NAME tells columns of several files apart. Lists are
separated by commas, words within an option by +:
  --table=qtl=nominal.txt.gz:header=no:chrom=9:pos=10:columns=12:transform=neglog10:agg=max
"""

import sys

from absl import flags

from _command import build, define_flags, run
from tfgen.prior.features.features import FeatureSummary, build_features
from tfgen.prior.features.features_config import FeaturesConfig

define_flags(FeaturesConfig)


def main(values: flags.FlagValues) -> None:
    """Annotates, then says what came of it."""
    report(build_features(build(FeaturesConfig, values)))


def report(summary: FeatureSummary) -> None:
    """Prints the size, the coverage of every annotation, and warnings on stderr."""
    tracks = f", {len(summary.track_names)} tracks of {summary.length} positions"
    print(
        f"{summary.output}: {summary.n_variants} variants, {len(summary.coverage)} annotations"
        f"{tracks if summary.track_names else ''}"
    )
    if summary.coverage:
        print("annotation\tpresent\tfraction\tnonzero")
    for entry in summary.coverage:
        print(f"{entry.name}\t{entry.n_present}\t{entry.fraction:.4f}\t{entry.n_nonzero}")
    for code, count in summary.counts.items():
        print(f"rejected {code}: {count}")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
