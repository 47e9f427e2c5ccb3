#!/usr/bin/env python3
"""Writes a score store as a table.

Example:
  variants_export.py --scores=scores.h5 --output=scores.tsv.gz --statistics=SAD --tracks=0,4828

One line per row of the store; scores in columns named STATISTIC:COLUMN:IDENTIFIER, NA where there
is none. An output that ends in .gz is compressed with bgzip.
"""

from absl import flags

from _command import build, define_flags, run
from tfgen.effects.export import ExportConfig, export_scores

define_flags(ExportConfig)


def main(values: flags.FlagValues) -> None:
    """Exports, then says how much."""
    config = build(ExportConfig, values)
    print(f"{config.output}: {export_scores(config)} rows")


if __name__ == "__main__":
    run(main)
