#!/usr/bin/env python3
r"""Scores variants with a trained prior, as PolyFun reads them.

Example:
  prior_score.py --prior=prior --variants=panel.bim --features=features.h5 \
      --traits=height=height.tsv.gz --output=height.22.snpvar.gz

The table has the columns CHR SNP BP A1 A2 SNPVAR Z N LOGF SE FOLD; SNPVAR is the prior variance of
the effect of a standardised genotype. height.22.snpvar_constrained.gz has the same with
max / min <= 100. Variants of a block that one fold never saw get that fold, others the mean of all
(see docs/prior-outputs.md).
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.outputs.score_config import ScorePriorConfig

if TYPE_CHECKING:
    from tfgen.prior.outputs.score import ScoreSummary

define_flags(ScorePriorConfig)


def main(values: flags.FlagValues) -> None:
    """Scores, then says what came of it."""
    config = build(ScorePriorConfig, values)
    import_tensorflow()
    from tfgen.prior.outputs.score import score_prior

    report(score_prior(config))


def report(summary: "ScoreSummary") -> None:
    """Prints the counts and the range of every trait."""
    for name, trait in summary.traits.items():
        print(
            f"{name}: {', '.join(map(str, trait.outputs))}: sum of SNPVAR {trait.h2:.4g}, from "
            f"{trait.least:.3g} to {trait.largest:.3g}; {trait.n_with_statistics:,} with Z and N"
        )
    print(f"{summary.n:,} variants, {summary.n_cross_fitted:,} from models that never saw them")
    for code, n in summary.rejected.items():
        print(f"rejected, {code}: {n:,} variants")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
