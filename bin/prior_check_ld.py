#!/usr/bin/env python3
r"""Compares LD stores by how well they fit z-scores, to choose --var_kept and --shrink.

Example:
  prior_check_ld.py --ld=ld_0.995,ld_0.9,ld_shrunk --traits=height=height.tsv.gz

Prints a row per store and trait. MAHALANOBIS_PER_K is that of the constant prior with noise 1,
MEAN_F its prior variance by maximum likelihood: about 1 if LD and z-scores belong together, and
MISMATCH outside 0.9 to 1.1. ML_SIGMA is the noise that would be needed instead, P_SIGMA the
probability of one as far from 1 by chance. BAD_BLOCKS are those that prior_build_ld.py --sumstats
flags.
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.prior.ld.check_ld_config import CheckLdConfig

if TYPE_CHECKING:
    from tfgen.prior.ld.check_ld import LdCheck

define_flags(CheckLdConfig)


def main(values: flags.FlagValues) -> None:
    """Compares, then prints the table."""
    config = build(CheckLdConfig, values)
    import_tensorflow()
    from tfgen.prior.ld.check_ld import check_ld

    report(check_ld(config))


def report(rows: tuple["LdCheck", ...]) -> None:
    """Prints the table as TSV, and what could not be compared to stderr."""
    table = [row.row() for row in rows]
    print("\t".join(table[0]))
    for row in table:
        print("\t".join(map(str, row.values())))
    for found in rows:
        if found.warning:
            print(f"warning: {found.warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
