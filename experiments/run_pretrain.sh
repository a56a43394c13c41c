#!/usr/bin/env bash
# Every pre-training of the study, once per seed. DATA, OUT, NPROC and SMALL: see setup.sh. Restartable.
#   bash experiments/run_pretrain.sh
#   DATA=data/hospital NPROC=4 bash experiments/run_pretrain.sh hardware.device=cuda
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

sweep --pretrain-only "$@"
