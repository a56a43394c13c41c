#!/usr/bin/env bash
# Refinement of a given encoder by reports (after RetFiner, arXiv 2506.22149) on a phantom of still pictures: encoders
# of three seeds, each refined by four losses, by the contrast alone, and trained on without reports; linear probe of
# four findings before and after. Restartable: what is finished is not done again.
#   bash experiments/sisters/refine.sh                  about 15 minutes on one core
#   SMALL=1 OUT=DIR bash experiments/sisters/refine.sh  seconds, to see that it works; its figures say nothing
# DATA (a folder with manifest.csv and store in place of the phantom), OUT, RESULTS, SEEDS, NPROC and START (an encoder
# file or run folder of echossl in place of the encoders that it trains; the network in refine*.yaml has to be that of
# the file) come from the environment.
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${OUT:-runs/sisters/refine}
DATA=${DATA:-$OUT/data}
RESULTS=${RESULTS:-$OUT/table}
NPROC=${NPROC:-0}
SEEDS=${SEEDS:-"0 1 2"}
START=${START:-}
FILES=experiments/sisters
patients=1000 size=40
small=() quick=() probe=()
if [ "${SMALL:-0}" = 1 ]; then
  patients=60 size=16
  small=("optimiser.steps=2" "optimiser.warmup_steps=1" "batch_size=8" "encoder.width=4" "hardware.device=cpu")
  probe=("fractions=[0.3,1.0]" "draws=2" "bootstrap.resamples=100" "hardware.device=cpu")
fi

note="Patients of $DATA; seeds $SEEDS."
if [ ! -f "$DATA/manifest.csv" ] || [ ! -d "$DATA/store" ] || [ -d "$DATA/phantom" ]; then
  "$ECHOSSL" phantom "$DATA/phantom" --patients "$patients" --seed 4107 "containers=[png]" "view=valve" \
    "videos_per_study=[2,2]" "image_height=[96,112]" "reports.typos=0.01" "findings.assessed=0.8" "workers=$NPROC"
  if [ ! -f "$DATA/manifest.csv" ]; then
    "$ECHOSSL" index phantom "$DATA/phantom" --out "$DATA/manifest.csv" --stratify severe_as --seed 4107 \
      --split train=0.6 --split val=0.1 --split test=0.3
  fi
  "$ECHOSSL" prepare "manifest=$DATA/manifest.csv" "out=$DATA/store" "size=$size" "workers=$NPROC"
  note="Phantom 4107: $patients patients, 60 % to train on and 30 % to test on, two still pictures of $size pixels each"
  note="$note, a report of each study; seeds $SEEDS."
fi

paths=("data.manifest=$DATA/manifest.csv" "data.store=$DATA/store")
for seed in $SEEDS; do
  start="$OUT/start-seed$seed"
  if [ -n "$START" ]; then
    mkdir -p "$OUT"
    ln -sfn "$(realpath "$START")" "$start"
  else
    "$ECHOSSL" pretrain $FILES/refine_start.yaml "${paths[@]}" "out=$start" "seed=$seed" "${small[@]}"
  fi
  for arm in refined contrast longer; do
    file=$FILES/refine_$arm.yaml
    if [ "$arm" = refined ]; then file=$FILES/refine.yaml; fi
    "$ECHOSSL" pretrain "$file" "${paths[@]}" "start=$start" "out=$OUT/$arm-seed$seed" "seed=$seed" "${small[@]}"
  done
done
"$ECHOSSL" probe $FILES/refine_probe.yaml "${paths[@]}" "folder=$OUT" "out=$OUT/probe" \
  "seeds=[${SEEDS// /,}]" "${probe[@]}"
"$PYTHON" $FILES/refine_table.py "$OUT/probe" --out "$RESULTS" --note "$note"
