#!/usr/bin/env python3
"""Joins score stores of shards into one, as if the run had not been divided.

Example:
  variants_merge.py --inputs=part0.h5,part1.h5,part2.h5 --output=scores.h5

The stores must be of one run (same variants, genome, model, flags and versions) and cover its rows
exactly once; their order does not matter. Percentiles are computed anew from all rows.
"""

import sys

from absl import flags

from _command import build, define_flags, run
from tfgen.effects.merge import MergeConfig, merge_stores

define_flags(MergeConfig)


def main(values: flags.FlagValues) -> None:
    """Merges, then says what was merged."""
    summary = merge_stores(build(MergeConfig, values))
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{summary.output}: {summary.n_rows} rows from {summary.n_shards} shards")


if __name__ == "__main__":
    run(main)
