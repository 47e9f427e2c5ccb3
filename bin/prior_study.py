#!/usr/bin/env python3
r"""Asks by simulation when a larger prior helps: exact likelihood against LD-score regression.

Example:
  prior_study.py --bed=EUR_subset.bed --bim=EUR_subset.bim.gz --fam=EUR_subset.fam \
      --block_file=grch37.eur.loci.bed --output=study --quick

z-scores are drawn on the LD of the panel with a known prior; a linear prior and an mlp are fitted
by both objectives, with the same network, steps, learning rates and stopping rule, and judged by
the exact likelihood of chromosomes they never saw. The output folder holds results.tsv (every
fit), gains.tsv, claims.tsv (paired differences with 95 % intervals over seeds), report.txt,
study.png and run.json. A run that was stopped or killed goes on when it is started again. See
docs/prior-study.md.
"""

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.study.study_config import StudyConfig

define_flags(StudyConfig)


def main(values: flags.FlagValues) -> None:
    """Runs the study, then prints its report."""
    config = build(StudyConfig, values)
    import_tensorflow()
    from tfgen.prior.study.study import run_study

    summary = run_study(config)
    print(summary.text)
    print(f"{summary.n_fits} fits, {summary.n_diverged} of them diverged at their learning rate")
    print(summary.output)


if __name__ == "__main__":
    run(main)
