#!/bin/sh
#SBATCH --job-name=rrjax-spectrum
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
# Spectra in a Slurm array: each task computes its share of the chunks into one folder.
# The task that comes last prints the table and writes results.npz and the figures. Tasks that were
# killed or ran out of time leave chunks missing: give the same command again, with any array.
# To do the rest and collect with one task (on the same kind of device, which the results depend on):
#   sbatch --array=0 scripts/accelerators/slurm_array.sh FOLDER MODEL [the same options]
# Usage: sbatch scripts/accelerators/slurm_array.sh FOLDER MODEL [options of rrjax spectrum]
set -eu
folder=${1:?give a folder that all nodes see}
model=${2:?give a model}
shift 2
: "${SLURM_ARRAY_TASK_ID:?submit this with sbatch; rrjax takes its share from the array}"
echo "task $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT"
exec rrjax spectrum "$model" --out "$folder" --shard slurm "$@"
