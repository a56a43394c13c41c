#!/usr/bin/env bash
# The label-efficiency study from nothing to its table and figure: data, pre-trainings, every arm at every label
# fraction. It is what run_pretrain.sh and finetune_1pct.sh ... finetune_100pct.sh do one after the other, but all
# runs share the cores. Killed or stopped, the same command continues; nothing that is finished is done again.
#   SMALL=1 bash experiments/run_all.sh                 # two minutes on one core: shows that it works, no more
#   bash experiments/run_all.sh                         # the full study on a phantom
#   DATA=data/hospital bash experiments/run_all.sh column=severe_as clip.num_frames=16
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

sweep "$@"
echo "table and figure: $OUT/study/summary.md, results.csv, label_efficiency.svg"
