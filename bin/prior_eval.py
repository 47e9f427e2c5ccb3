#!/usr/bin/env python3
r"""Evaluates a trained prior on the LD blocks that it never saw.

Example:
  prior_eval.py --prior=prior --ld=ld --features=features.h5 --traits=height=height.tsv.gz \
      --output=evaluation

Says what the prior gains in held-out likelihood over no effects and over the constant prior, each
with its 95 % interval over blocks, and whether it is calibrated; blocks that were kept out of every
fold (--test_chrom of prior_train.py) have figures of their own, the final test. The output is a
folder with eval.json, blocks.tsv, deciles.tsv, enrichment.tsv, gain.png and calibration.png (see
docs/prior-outputs.md).
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.outputs.eval_config import EvalConfig

if TYPE_CHECKING:
    from tfgen.prior.outputs.eval import EvalSummary

define_flags(EvalConfig)


def main(values: flags.FlagValues) -> None:
    """Evaluates, then says what came of it."""
    config = build(EvalConfig, values)
    import_tensorflow()
    from tfgen.prior.outputs.eval import evaluate_prior

    report(evaluate_prior(config))


def report(summary: "EvalSummary") -> None:
    """Prints the gains and the calibration of every trait."""
    for trait in summary.traits:
        blocks = trait.result.blocks
        n_observed = sum(block.n_observed for block in blocks)
        print(f"{trait.label}: {len(blocks)} blocks, {n_observed:,} variants")
        for gain in trait.gains:
            print(f"  {gain.text()}")
        print(
            f"  Mahalanobis/k {trait.mahalanobis_per_k:.4g} "
            f"(p {trait.mahalanobis_p:.3g}; upper {trait.fit.p_upper:.3g}, "
            f"lower {trait.fit.p_lower:.3g}), "
            f"{len(trait.flagged)} blocks beyond chance"
        )
    if summary.n_resumed:
        print(f"{summary.n_resumed:,} blocks were done by a former run")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(summary.output)


if __name__ == "__main__":
    run(main)
