#!/usr/bin/env python3
"""Makes a synthetic world: genome, coverage tracks, and variants with known true effects.

Example:
  bin/world_make.py --output=out/world
  bin/world_make.py --output=out/small --chromosomes=chrA:1280000:train,chrB:640000:test

The folder then holds
  genome.fa.gz      genome, with .fai and .gzi
  coverage/         observed coverage: CHROMOSOME.npy [bins of 128 bp, tracks] and TRACK.bw
  targets.txt       table of the tracks
  elements.bed      planted sites of motifs
  variants.vcf.gz   variants with allele frequency and class
  truth.tsv         true effect (SAD) of every variant on every track
  world.json        what the world was made from; the same settings give the same files
  run.json          how this run went
The default of 26 million bases takes about 20 seconds.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from _command import build, define_flags, run
from tfgen.synthetic.config import WorldConfig

if TYPE_CHECKING:
    from absl import flags


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the world goes."""

    output: Path = dataclasses.field(metadata={"help": "New folder for the world."})
    overwrite: bool = dataclasses.field(
        default=False, metadata={"help": "Replace an existing folder."}
    )


define_flags(Output)
define_flags(WorldConfig)


def main(flags: "flags.FlagValues") -> None:
    """Makes the world and says where it is."""
    from tfgen.synthetic.world import make_world

    to = build(Output, flags)
    world = make_world(build(WorldConfig, flags), to.output, overwrite=to.overwrite)
    print(f"{world.directory}: {len(world.chromosomes())} chromosomes, {len(world.tracks)} tracks")


if __name__ == "__main__":
    run(main)
