#!/usr/bin/env bash
# Pre-train on a SLURM cluster, on any number of nodes and GPUs, over as many time limits as it takes.
#
#   sbatch --nodes 2 --gpus-per-node 4 --ntasks-per-node 4 experiments/cluster/slurm_pretrain.sh FILE.yaml [key=value ...]
#
# One task per GPU. batch_size of the file is that of the whole run, shared by the tasks: a multiple of their number.
# out of the file must be a folder that all nodes see. Three minutes before the time limit SLURM sends SIGUSR1; the
# run saves a checkpoint and ends with 0, and the job is put back into the queue, where it goes on. A failure ends it.
#SBATCH --job-name=echossl-pretrain
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "usage: sbatch slurm_pretrain.sh FILE.yaml [key=value ...]" >&2
    exit 2
fi

MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
MASTER_PORT="$((20000 + SLURM_JOB_ID % 20000))" # two jobs on a node must not share one
export MASTER_ADDR MASTER_PORT
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

said="$(mktemp)"
trap 'rm -f "$said"' EXIT

# srun and not torchrun, so that each process is sent the signal by SLURM itself
# shellcheck disable=SC2016 # the variables are those of each task
srun --kill-on-bad-exit=1 bash -c '
    set -euo pipefail
    export RANK="$SLURM_PROCID" LOCAL_RANK="$SLURM_LOCALID" WORLD_SIZE="$SLURM_NTASKS"
    exec python -m echossl pretrain "$@"
' task "$@" 2>&1 | tee "$said"

if grep -q "the same command continues" "$said"; then
    scontrol requeue "$SLURM_JOB_ID"
fi
