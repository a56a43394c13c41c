#!/usr/bin/env bash
# The phantom study behind the README's tables: the easy mode, then the two hard ones.
# Restartable: what is finished is not done again. OUT, JOBS and the studies to run come from the environment.
#   bash experiments/demo_full.sh
#   STUDIES="phantom_full" JOBS=8 bash experiments/demo_full.sh
set -euo pipefail
cd "$(dirname "$0")/.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
OUT=${OUT:-runs}
JOBS=${JOBS:-0}
STUDIES=${STUDIES:-"phantom_full phantom_share phantom_sector"}

for study in $STUDIES; do
  "$ECHOSSL" demo "experiments/studies/$study.yaml" "out=$OUT/$study" "study.jobs=$JOBS" "phantom.workers=$JOBS"
  mkdir -p "experiments/results/$study"
  cp "$OUT/$study/results.csv" "$OUT/$study/summary.md" "experiments/results/$study/"
done
