#!/usr/bin/env python3
"""Shows everything at once: a synthetic world, a model trained on it, variants scored, compared.

Example:
  bin/world_demo.py --output=out/demo
  bin/world_demo.py --output=out/quick --quick

The folder then holds
  report.json       agreement of predicted with true effects, times, sizes
  effects.png, correlations.png, tracks.png, variant.png, training.png
  scores.h5         scores of the held-out variants, as variants_score.py writes them
  held_out.vcf.gz   those variants
  model/            the trained model, a SavedModel
  training/         log and checkpoint
  untrained/        model and scores before training
  world/            genome, coverage, variants and their true effects
It takes about seven minutes on two cores.
"""

from typing import TYPE_CHECKING

from _command import build, define_flags, import_tensorflow, run
from tfgen.synthetic.demo_config import DemoConfig

if TYPE_CHECKING:
    from absl import flags

define_flags(DemoConfig)


def main(flags: "flags.FlagValues") -> None:
    """Runs the demo, then prints the table and the files."""
    config = build(DemoConfig, flags)
    import_tensorflow()
    from tfgen.synthetic.demo import run_demo

    report = run_demo(config)
    print("Agreement of SAD with the true effect, Pearson r, mean over the tracks:\n")
    print("\n".join(report.table()))
    tracks = ", ".join(f"{name} {r:.3f}" for name, r in report.prediction_r.items())
    print(f"\nPredicted with observed coverage on the held-out chromosome: r = {tracks}")
    print(f"Largest deviation from full recomputation: {report.self_check_max_abs:.2g}")
    seconds = ", ".join(f"{part} {value:.0f}" for part, value in report.seconds.items())
    print(f"Seconds: {seconds}\n")
    for path in sorted(config.output.iterdir()):
        print(f"{path}{'/' if path.is_dir() else ''}")


if __name__ == "__main__":
    run(main)
