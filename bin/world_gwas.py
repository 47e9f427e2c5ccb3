#!/usr/bin/env python3
"""Makes a synthetic GWAS whose effects and prior are known, with all that a prior is trained on.

Example:
  bin/world_gwas.py --output=out/gwas
  bin/world_gwas.py --output=out/small --quick

The folder then holds
  panel.bed, .bim, .fam   genotypes of a panel
  gwas.fastGWA.gz         summary statistics
  blocks.bed              LD blocks
  annot.CHR.annot.gz      annotations in the format of LDSC
  peaks.bed, signal.bw    peaks and a signal track
  scores.h5               scores of a sequence model
  truth.tsv.gz            true log f and effect of every variant
  world.json         what it was made from, the truth, and the commands to run in the folder
  run.json                how this run went
Same settings, same files.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from _command import build, define_flags, run
from tfgen.synthetic.gwas_config import QUICK, GwasConfig

if TYPE_CHECKING:
    from absl import flags


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the world goes."""

    output: Path = dataclasses.field(metadata={"help": "New folder for the world."})
    quick: bool = dataclasses.field(
        default=False,
        metadata={"help": "A much smaller world, but for the sizes that are given."},
    )
    overwrite: bool = dataclasses.field(
        default=False, metadata={"help": "Replace an existing folder."}
    )


define_flags(Output)
define_flags(GwasConfig)


def main(values: "flags.FlagValues") -> None:
    """Makes the world and says what to do with it."""
    from tfgen.synthetic.gwas import make_gwas_world

    to, config = build(Output, values), build(GwasConfig, values)
    if to.quick:
        fields = [field.name for field in dataclasses.fields(GwasConfig)]
        given = {name: getattr(config, name) for name in fields if values[name].present}
        config = dataclasses.replace(QUICK, **given)
    world = make_gwas_world(config, to.output, overwrite=to.overwrite)
    n_variants = config.chromosomes * config.variants
    print(f"{world.directory}: {config.chromosomes} chromosomes, {n_variants:,} variants")
    print(f"cd {world.directory}")
    for command in world.commands:
        print(" ".join(command))


if __name__ == "__main__":
    run(main)
