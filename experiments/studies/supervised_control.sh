#!/usr/bin/env bash
# What the pictures hold for this network: trained on the labels of all training patients, from grey values and with motion
# beside them, on the phantoms of objectives.sh, whose data it wants. Restartable; DATA, OUT and VIEWS as there.
#   bash experiments/studies/objectives.sh && bash experiments/studies/supervised_control.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
DATA=${DATA:-data}
OUT=${OUT:-runs/objectives}
RESULTS=${RESULTS:-experiments/results/supervised_control}
VIEWS=${VIEWS:-"valve sector"}

for view in $VIEWS; do
  for motion in none beside; do
    runs=()
    for seed in 3101 3102 3103; do
      data="$DATA/$view-$seed"
      run="$OUT/supervised/$view-$seed-$motion"
      "$ECHOSSL" finetune experiments/finetune/supervised.yaml "data.manifest=$data/manifest.csv" \
        "data.store=$data/store" "out=$run" "encoder.motion=$motion"
      runs+=("$run/predictions.csv")
    done
    mkdir -p "$RESULTS"
    for table in "${runs[@]}"; do
      echo "# $(basename "$(dirname "$table")")"
      "$ECHOSSL" evaluate "$table"
    done > "$RESULTS/${view}_motion_$motion.txt"
  done
done
