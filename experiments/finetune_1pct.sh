#!/usr/bin/env bash
# Every arm with the labels of 1 % of the training patients: all draws and seeds, then the table of what is there.
# Pre-trainings that are not finished come first. DATA, OUT, NPROC and SMALL: see setup.sh. Restartable.
#   bash experiments/finetune_1pct.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

sweep --fraction 0.01 "$@"
