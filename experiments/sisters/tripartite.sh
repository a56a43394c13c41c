#!/usr/bin/env bash
# Pictures of two views and their report (after RET-CLIP): pre-training per seed, zero-shot, retrieval, probe, one table.
# Restartable: what is finished is not done again. From the environment: DATA (manifest.csv with views, reports and
# labels, and a clip store; empty makes a phantom), OUT, RESULTS, SEEDS, NPROC (stages beside each other), SMALL=1
# (seconds: shows that it works, no more).
#   SMALL=1 bash experiments/sisters/tripartite.sh
#   NPROC=4 bash experiments/sisters/tripartite.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${OUT:-runs/sisters/tripartite}
NPROC=${NPROC:-1}
SISTERS=experiments/sisters
patients=() size=48 share=0.9 training=() probing=()
SEEDS=${SEEDS:-"0 1 2"}
if [ "${SMALL:-0}" = 1 ]; then
  SEEDS=0 size=32 share=0.5
  patients=(patients=24 "image_height=[64,64]" "videos_per_study=[1,2]")
  training=(optimiser.steps=4 optimiser.warmup_steps=1 batch_size=8 encoder.width=4)
  probing=("fractions=[1.0]" draws=1 "seeds=[0]" encoder.width=4 bootstrap.resamples=100 "columns=[left_ventricular_hypertrophy]")
fi
RESULTS=${RESULTS:-$OUT/results}

if [ -z "${DATA:-}" ]; then
  DATA="$OUT/data"
  "$ECHOSSL" phantom "$DATA/phantom" "$SISTERS/tripartite_phantom.yaml" "workers=$NPROC" "${patients[@]}"
  if [ ! -f "$DATA/manifest.csv" ]; then
    "$ECHOSSL" index phantom "$DATA/phantom" --out "$DATA/manifest.csv" --stratify severe_as \
      --split "train=$share" --split "test=$(awk "BEGIN {print 1 - $share}")"
  fi
  "$ECHOSSL" prepare "manifest=$DATA/manifest.csv" "out=$DATA/store" "size=$size" "workers=$NPROC"
fi
paths=("data.manifest=$DATA/manifest.csv" "data.store=$DATA/store")

started=()
beside() { # runs a stage beside others, at most NPROC at a time; the first that fails ends the script
  "$@" >&2 &
  started+=($!)
  if [ "${#started[@]}" -ge "$NPROC" ]; then all_done; fi
}
all_done() {
  for process in "${started[@]}"; do wait "$process"; done
  started=()
}

for seed in $SEEDS; do
  beside "$ECHOSSL" pretrain "$SISTERS/tripartite.yaml" "${paths[@]}" "out=$OUT/pretrain-seed$seed" "seed=$seed" \
    "${training[@]}"
done
all_done
for seed in $SEEDS; do
  for stage in zeroshot retrieve; do
    beside "$ECHOSSL" $stage "$SISTERS/tripartite_$stage.yaml" "${paths[@]}" "run=$OUT/pretrain-seed$seed" \
      "out=$OUT/$stage-seed$seed"
  done
done
beside "$ECHOSSL" probe "$SISTERS/tripartite_probe.yaml" "${paths[@]}" "folder=$OUT" "out=$OUT/probe" \
  "seeds=[${SEEDS// /,}]" "${probing[@]}"
all_done
"$PYTHON" "$SISTERS/tripartite_table.py" "$OUT" --seeds $SEEDS --out "$RESULTS"
