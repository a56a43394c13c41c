#!/usr/bin/env bash
# Does an encoder of relative speed, joined to that of the cells, know the beat? On the three phantoms of objectives.sh,
# whole sector, whose data and encoders it wants. Restartable; DATA and OUT as there.
#   VIEWS=sector bash experiments/studies/objectives.sh && bash experiments/studies/motion.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:-data}
OUT=${OUT:-runs/objectives}
STUDIES=experiments/studies

number=0
for seed in 3101 3102 3103; do
  data="$DATA/sector-$seed"
  run="$OUT/sector-$seed"
  encoders="$run/pretrain"
  paths=("data.manifest=$data/manifest.csv" "data.store=$data/store")
  "$ECHOSSL" pretrain experiments/pretrain/motion_speed.yaml "${paths[@]}" "out=$encoders/motion_speed-seed$number" \
    "seed=$number" augment.shift=0.08
  if [ ! -f "$encoders/joined-seed$number.safetensors" ]; then
    "$ECHOSSL" join "$encoders/dense-seed$number" "$encoders/motion_speed-seed$number" \
      --out "$encoders/joined-seed$number.safetensors" --store "$data/store"
  fi
  "$ECHOSSL" probe $STUDIES/probe_motion.yaml "${paths[@]}" "out=$run/probe_motion" "folder=$encoders" \
    "seeds=[$number]" "truth=$data/phantom"
  number=$((number + 1))
done
"$PYTHON" $STUDIES/pool.py "$OUT"/sector-310[123]/probe_motion --titles $STUDIES/probe_motion.yaml \
  --out experiments/results/objectives_sector_motion
