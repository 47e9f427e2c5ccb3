#!/usr/bin/env python3
r"""Estimates the effect of every variant from statistics, LD and a trained prior.

Example:
  prior_posterior.py --prior=prior --ld=ld --features=features.h5 \
      --traits=height=height.tsv.gz --output=height.posterior.tsv.gz

The table has the columns CHR SNP BP A1 A2 N A1FREQ BETA_MEAN BETA_SD (per copy of A1, in standard
deviations of the trait) BETA_MEAN_STD BETA_SD_STD E_BETA2 (standardised genotypes) LOGF FOLD.
Where LD and z-scores do not belong together there are no effects: see prior_check_ld.py.
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.outputs.posterior_config import PosteriorConfig

if TYPE_CHECKING:
    from tfgen.prior.outputs.posterior_table import PosteriorSummary

define_flags(PosteriorConfig)


def main(values: flags.FlagValues) -> None:
    """Computes, then says what came of it."""
    config = build(PosteriorConfig, values)
    import_tensorflow()
    from tfgen.prior.outputs.posterior_table import write_posterior

    report(write_posterior(config))


def report(summary: "PosteriorSummary") -> None:
    """Prints the counts and the calibration of every trait."""
    for name, trait in summary.traits.items():
        print(
            f"{name}: {trait.output}: {trait.n:,} variants, {trait.n_with_statistics:,} with a "
            f"z-score; Mahalanobis/k {trait.mahalanobis_per_k:.4g} (p {trait.mahalanobis_p:.3g}), "
            f"sum of E[beta^2] {trait.h2:.4g}"
        )
    if summary.n_resumed:
        print(f"{summary.n_resumed:,} blocks were done by a former run")
    if summary.n_in_sample:
        print(f"{summary.n_in_sample:,} variants with a prior that was fitted to them too")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
