#!/usr/bin/env bash
# The ceiling: the same network trained on the labels of all training patients of the phantom study.
#   bash experiments/demo_full.sh && bash experiments/supervised.sh
set -euo pipefail
cd "$(dirname "$0")/.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
OUT=${OUT:-runs}
STUDY=${STUDY:-phantom_full}
RUN="$OUT/supervised_$STUDY"

"$ECHOSSL" finetune experiments/finetune/supervised.yaml \
  "data.manifest=$OUT/$STUDY/manifest.csv" "data.store=$OUT/$STUDY/store" "out=$RUN"
mkdir -p "experiments/results/$STUDY"
"$ECHOSSL" evaluate "$RUN/predictions.csv" | tee "experiments/results/$STUDY/supervised.txt"
