#!/usr/bin/env bash
# Every objective on three phantoms that nothing was tuned on, each with a pre-training seed of its own.
# Restartable: what is finished is not done again. DATA, OUT, JOBS and VIEWS come from the environment.
#   bash experiments/studies/objectives.sh
#   VIEWS=valve JOBS=8 bash experiments/studies/objectives.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:-data}
OUT=${OUT:-runs/objectives}
JOBS=${JOBS:-0}
VIEWS=${VIEWS:-"valve sector"}
STUDIES=experiments/studies

for view in $VIEWS; do
  size=48
  if [ "$view" = sector ]; then size=64; fi
  number=0
  for seed in 3101 3102 3103; do
    data="$DATA/$view-$seed"
    run="$OUT/$view-$seed"
    "$ECHOSSL" phantom "$data/phantom" --patients 1100 --seed "$seed" "view=$view" "workers=$JOBS" \
      "videos_per_study=[2,2]" "beats=[1.2,1.6]" "frames_per_second=[25,30]" "image_height=[96,112]"
    if [ ! -f "$data/manifest.csv" ]; then
      "$ECHOSSL" index phantom "$data/phantom" --out "$data/manifest.csv" --stratify severe_as --seed "$seed" \
        --split train=0.7273 --split val=0.0909 --split test=0.1818
    fi
    "$ECHOSSL" prepare "manifest=$data/manifest.csv" "out=$data/store" "size=$size" "workers=$JOBS"
    paths=("data.manifest=$data/manifest.csv" "data.store=$data/store")
    "$ECHOSSL" sweep "$STUDIES/objectives_$view.yaml" "${paths[@]}" "out=$run" "first_seed=$number" "jobs=$JOBS"
    "$ECHOSSL" probe "$STUDIES/probe_$view.yaml" "${paths[@]}" "out=$run/probe" "folder=$run/pretrain" \
      "seeds=[$number]" "truth=$data/phantom"
    number=$((number + 1))
  done
  results=experiments/results/objectives_$view
  "$PYTHON" $STUDIES/pool.py "$OUT/$view"-310[123] --titles "$STUDIES/objectives_$view.yaml" --out "$results"
  "$PYTHON" $STUDIES/pool.py "$OUT/$view"-310[123]/probe --titles "$STUDIES/probe_$view.yaml" --out "${results}_probe"
done
