#!/usr/bin/env bash
# Masked pre-training over fused sources: fused against own source against none, on sources that were not learned from.
# Restartable: what is finished is not done again. Words go to echossl sweep (hardware.device=cuda, --plan, --collect).
#   bash experiments/sisters/masked_sources.sh
#   STUDIES="masked_sources_left_out masked_sources_ablations" NPROC=8 bash experiments/sisters/masked_sources.sh
#   SMALL=1 bash experiments/sisters/masked_sources.sh      a few pictures and updates: its figures mean nothing
#   DATA      folder with a folder for each source: manifest.csv and store; where one is missing, hospitals of the
#             phantom are made                                            data/sisters
#   OUT       where the studies go                                        runs/sisters
#   STUDIES   settings files beside this script, without .yaml            masked_sources
#   NPROC     runs side by side                                           one per core
#   PATIENTS  of each hospital of the phantom                             600
#   SIZE      height and width of its pictures                            48
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
SMALL=${SMALL:-}
STUDIES=${STUDIES:-masked_sources}
NPROC=${NPROC:-0}
small=()
if [ -n "$SMALL" ]; then
  DATA=${DATA:-data/sisters_small} OUT=${OUT:-runs/sisters_small} PATIENTS=${PATIENTS:-24} SIZE=${SIZE:-24}
  small=("optimiser={steps: 2, warmup_steps: 1}" "batch_size=4" "fractions=[0.5]" "family={}" "draws=1" "seeds=1"
    "bootstrap.resamples=100" "encoder={name: vit, width: 16, depth: 1, heads: 2, patch: 8, patch_frames: 1}")
fi
DATA=${DATA:-data/sisters}
OUT=${OUT:-runs/sisters}
HERE=experiments/sisters

made=
for study in $STUDIES; do
  places=("out=$OUT/$study")
  number=0
  for source in $(sed -n 's/^  - {name: \([a-z0-9]*\), manifest: .*/\1/p' "$HERE/$study.yaml"); do
    # a phantom that is there is looked at again: it may be half made
    if [ -z "$made" ] && { [ ! -f "$DATA/$source/manifest.csv" ] || [ -d "$DATA/$source/phantom" ]; }; then
      sizes=(--patients "${PATIENTS:-600}" --size "${SIZE:-48}" --workers "$NPROC")
      "$PYTHON" "$HERE/phantom_sources.py" "$DATA" "${sizes[@]}"
      made=1
    fi
    places+=("sources.$number.manifest=$DATA/$source/manifest.csv" "sources.$number.store=$DATA/$source/store")
    number=$((number + 1))
  done
  fewer=()
  if [ -n "$SMALL" ]; then
    for arm in $(seq 0 $(($(grep -c 'recipe: ' "$HERE/$study.yaml") - 1))); do
      fewer+=("arms.$arm.recipe={name: full, steps: 2, evaluate_every: 2}")
    done
  fi
  "$ECHOSSL" sweep "$HERE/$study.yaml" "${places[@]}" ${small[@]+"${small[@]}"} ${fewer[@]+"${fewer[@]}"} "jobs=$NPROC" "$@"
done
