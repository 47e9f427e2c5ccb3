#!/usr/bin/env bash
# Scores a VCF as a SLURM job array of 100 shards:  sbatch --array=0-99 slurm_array.sh
# Those that failed can be submitted again by themselves:  sbatch --array=5,7 slurm_array.sh
# For another number of shards:  NUM_SHARDS=20 sbatch --array=0-19 slurm_array.sh
# When all have ended:  python bin/variants_merge.py --inputs=$(ls -m part*.h5 | tr -d ' \n') --output=scores.h5
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=24:00:00
# A job that reaches its time limit keeps what it has done and goes on when it is started again.
#SBATCH --requeue
set -euo pipefail

python "${TFGEN_BIN:-bin}/variants_score.py" \
  --model="${MODEL:-enformer}" --fasta="${FASTA:-hg38.fa}" --vcf="${VCF:-my.vcf.gz}" \
  --num_shards="${NUM_SHARDS:-100}" --shard_index="${SLURM_ARRAY_TASK_ID}" \
  --output="part${SLURM_ARRAY_TASK_ID}.h5"
