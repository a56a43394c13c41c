#!/usr/bin/env bash
# Where does comparing clips cell by cell end? Three kinds of data on which the two videos of a patient do not show
# the same thing at the same place, or show nothing but the patient:
#   shift   clips are moved by up to a whole cell of the grid, and more
#   mixed   the two videos of a study are of two views
#   share   nearly all of the view and the scanner is common to a patient's videos, so that it tells patients apart
# Restartable: what is finished is not done again. From the environment:
#   KINDS=mixed SEEDS="3201 3202 3203" JOBS=8 bash experiments/studies/dense_limits.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:-data/limits}
OUT=${OUT:-runs/dense_limits}
RESULTS=${RESULTS:-experiments/results/dense_limits}
JOBS=${JOBS:-0}
KINDS=${KINDS:-"shift mixed share"}
SEEDS=${SEEDS:-"3201 3202"}
PATIENTS=${PATIENTS:-600}
STUDIES=experiments/studies

for kind in $KINDS; do
  case $kind in
    shift) made=() learned=(augment.shift=0.7) phantom=plain ;;
    mixed) made=("views=[plax,a4c]" view=sector) learned=() phantom=mixed ;;
    share) made=(share=0.95) learned=() phantom=share ;;
    *) echo "KINDS: found $kind, expected shift, mixed or share" >&2; exit 2 ;;
  esac
  number=0 probes=()
  for seed in $SEEDS; do
    data="$DATA/$phantom-$seed"
    run="$OUT/$kind-$seed"
    "$ECHOSSL" phantom "$data/phantom" --patients "$PATIENTS" --seed "$seed" "workers=$JOBS" "${made[@]}" \
      "videos_per_study=[2,2]" "beats=[1.2,1.4]" "frames_per_second=[25,30]" "image_height=[96,112]"
    if [ ! -f "$data/manifest.csv" ]; then
      "$ECHOSSL" index phantom "$data/phantom" --out "$data/manifest.csv" --stratify severe_as --seed "$seed" \
        --split train=0.6 --split test=0.4
    fi
    "$ECHOSSL" prepare "manifest=$data/manifest.csv" "out=$data/store" size=48 "workers=$JOBS"
    paths=("data.manifest=$data/manifest.csv" "data.store=$data/store")
    "$ECHOSSL" sweep "$STUDIES/dense_limits.yaml" "${paths[@]}" "out=$run" "first_seed=$number" "jobs=$JOBS" --pretrain-only \
      "${learned[@]}"
    "$ECHOSSL" probe "$STUDIES/probe_dense_limits.yaml" "${paths[@]}" "out=$run/probe" "folder=$run/pretrain" \
      "seeds=[$number]" "truth=$data/phantom"
    probes+=("$run/probe")
    number=$((number + 1))
  done
  "$PYTHON" $STUDIES/pool.py "${probes[@]}" --titles "$STUDIES/probe_dense_limits.yaml" --out "$RESULTS/$kind"
done
