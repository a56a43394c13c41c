#!/usr/bin/env bash
# Pre-train on two machines without a scheduler. Start it on both at about the same time:
#
#   on the first:   experiments/cluster/torchrun_two_nodes.sh 0 FIRST_HOST FILE.yaml [key=value ...]
#   on the second:  experiments/cluster/torchrun_two_nodes.sh 1 FIRST_HOST FILE.yaml [key=value ...]
#
# FIRST_HOST is the name or address of the first machine, whose port PORT (29500) the second must reach.
# GPUS is the number of GPUs of each machine (default: all; 1 process on a machine without).
# batch_size of the file is that of the whole run: a multiple of the number of processes. Manifest, store and out
# must be at the same path on both, out in a folder that both see. Ctrl-C saves; the same commands continue.
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: torchrun_two_nodes.sh 0|1 FIRST_HOST FILE.yaml [key=value ...]" >&2
    exit 2
fi
node="$1"
first_host="$2"
shift 2

gpus="${GPUS:-$(python -c 'import torch; print(max(torch.cuda.device_count(), 1))')}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

exec torchrun \
    --nnodes 2 \
    --node-rank "$node" \
    --nproc-per-node "$gpus" \
    --master-addr "$first_host" \
    --master-port "${PORT:-29500}" \
    -m echossl pretrain "$@"
