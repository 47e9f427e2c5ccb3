#!/usr/bin/env python3
r"""Draws summary statistics with a known prior, on the LD of a store.

Example:
  prior_simulate.py --ld=ld --features=features.h5 --truth=enrichment --mean_f=0.2 --seed=1 \
      --output=simulated.tsv.gz

The output is a table as prior_munge.py writes it: z ~ N(0, R F R + sigma R), F = diag(f). Beside it
lie simulated.tsv.gz.truth.tsv.gz (log f and the effect of every variant) and
simulated.tsv.gz.run.json. A run that was stopped or killed goes on when it is started again.

  prior_simulate.py --ld=ld --null --output=null.tsv.gz
  prior_simulate.py --ld=ld --features=features.h5 --truth=enrichment --truth_preset=published \
      --scale=published --sigma=0.0498 --output=published.tsv.gz
"""

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.simulation.simulate_config import SimulateConfig

define_flags(SimulateConfig)


def main(values: flags.FlagValues) -> None:
    """Simulates, then says what was drawn."""
    config = build(SimulateConfig, values)
    if config.truth == "model":
        import_tensorflow()
    from tfgen.prior.simulation.simulate import simulate_statistics

    summary = simulate_statistics(config)
    print(
        f"{summary.output}: {summary.n_observed:,} z-scores, mean chi-squared "
        f"{summary.mean_chisq:.4g}"
    )
    print(
        f"truth {summary.truth['kind']}: {summary.n_variants:,} variants, mean f "
        f"{summary.mean_f:.4g}, standard deviation of log f {summary.sd_log_f:.4g}"
    )
    if summary.n_without_features:
        print(f"without features: {summary.n_without_features:,} variants")


if __name__ == "__main__":
    run(main)
