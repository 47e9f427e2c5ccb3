#!/usr/bin/env python3
r"""Scores the variants of a VCF with an Enformer model.

Example:
  variants_score.py --model=enformer_saved_model --fasta=hg38.fa --vcf=my.vcf.gz \
      --output=scores.h5

The output is an HDF5 file with one row per alternative allele in input order: the datasets SAD,
SAR and tCRA [rows, tracks], and a column status that says why a row has no score. Beside it lie
scores.h5.run.json (time, counts, self-check) and scores.h5.rejects.tsv (records without a score).
A run that was stopped or killed goes on when it is started again. To divide the work, give every
job its own --output and the same --num_shards with --shard_index=0,1,..., then join the parts
with variants_merge.py. variants_export.py writes a table.
"""

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.effects import LoadedEngine, ScoreSummary, ScoringConfig, score_variants

define_flags(ScoringConfig)


def main(values: flags.FlagValues) -> None:
    """Scores, then says what came of it."""
    report(score_variants(build(ScoringConfig, values), load_engine))


def load_engine(config: ScoringConfig) -> LoadedEngine:
    """Loads the model; imports TensorFlow, which the checks of the inputs do without."""
    import_tensorflow()
    from tfgen.effects.engine import load_engine as load

    return load(config)


def report(summary: ScoreSummary) -> None:
    """Prints the counts, the rate and the self-check."""
    counts = ", ".join(f"{code} {n}" for code, n in summary.counts.items()) or "no rows"
    print(f"{summary.output}: {len(summary.rows)} rows ({counts})")
    if summary.rows_per_second:
        print(f"{summary.rows_per_second:.3g} rows per second")
    if summary.check.n_rows:
        deviations = ", ".join(f"{name} {x:.2g}" for name, x in summary.check.max_abs.items())
        print(f"self-check of {summary.check.n_rows} rows: largest deviation {deviations}")


if __name__ == "__main__":
    run(main)
