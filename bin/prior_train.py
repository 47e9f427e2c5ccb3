#!/usr/bin/env python3
r"""Trains a functional prior on the effects of a GWAS, by the exact likelihood of its statistics.

Example:
  prior_train.py --ld=ld --traits=height=height.tsv.gz --features=features.h5 --arch=mlp \
      --folds=blocks:4 --output=prior

The inputs are what prior_build_ld.py, prior_munge.py and prior_features.py write. The output folder
holds one model per fold, which never saw the statistics of its test blocks (folds/NAME, a
SavedModel that takes raw features), prior.json, log.csv, training.png and run.json. A run that was
stopped or killed goes on when it is started again. prior_eval.py says what the prior is worth,
prior_score.py and prior_posterior.py use it.

With --strategy=multiworker start one process per machine, each with TF_CONFIG; only the first one
writes.
"""

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.train_config import TrainConfig

define_flags(TrainConfig, skip=("head", "fit"))
define_flags(HeadConfig)
define_flags(FitOptions)


def main(values: flags.FlagValues) -> None:
    """Trains, then prints one line per trait and fold."""
    head, fit = build(HeadConfig, values), build(FitOptions, values)
    config = build(TrainConfig, values, head=head, fit=fit)
    import_tensorflow()
    from tfgen.prior.training.train import train_prior

    summary = train_prior(config)
    for trait in summary.traits:
        counts = ", ".join(f"{name} {n:,}" for name, n in trait.counts.items())
        print(f"{trait.name}: N {trait.n_eff:,.0f}, {trait.n_matched:,} variants ({counts})")
    print(f"{head.arch}: {summary.n_parameters:,} parameters, solver {summary.solver}")
    for fold in summary.folds:
        sigma = ", ".join(f"{x:.4g}" for x in fold.sigma)
        print(
            f"{fold.name}: {fold.n_training} training, {fold.n_held_out} held-out, "
            f"{fold.n_test} test blocks, {fold.n_dropped} dropped; {fold.epochs} epochs, best "
            f"{fold.best_epoch}, held-out nll per z {fold.held_out_nll:.6f}, sigma {sigma}"
        )
    for warning in summary.warnings:
        print(f"warning: {warning}")
    print(summary.output)


if __name__ == "__main__":
    run(main)
