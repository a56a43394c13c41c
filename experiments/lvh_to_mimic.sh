#!/usr/bin/env bash
# Pre-training on EchoNet-LVH, aortic stenosis of MIMIC-IV-ECHO with 1 to 100 % of the labels: for who holds both
# agreements. Needs the two folders as they are published; nothing leaves this machine. Restartable.
#   LVH=/data/EchoNet-LVH MIMIC=/data/mimic-iv-echo VIEWS=/data/echoview.csv bash experiments/lvh_to_mimic.sh
#   LVH      folder with MeasurementsList.csv and Batch1 to Batch4
#   MIMIC    folder of version 1.0, with the structured measurements below it
#   VIEWS    table of predicted views (path and view) of MIMIC's files, whose headers name none; empty keeps all
#   KEEP     views that are kept, such as "PLAX PSAX"      PLAX
#   OUT      where everything goes                        runs/lvh_to_mimic
#   SIZE     height and width of a stored frame           112
#   NPROC    runs side by side                            one per core
# Words go to echossl sweep: hardware.device=cuda, or --plan to see what it will take, or --slurm jobs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
LVH=${LVH:?give the folder of EchoNet-LVH}
MIMIC=${MIMIC:?give the folder of MIMIC-IV-ECHO}
VIEWS=${VIEWS:-}
KEEP=${KEEP:-PLAX}
OUT=${OUT:-runs/lvh_to_mimic}
SIZE=${SIZE:-112}
NPROC=${NPROC:-0}
STUDY=${STUDY:-experiments/studies/lvh_to_mimic.yaml}

if [ ! -f "$OUT/lvh/manifest.csv" ]; then
  "$ECHOSSL" index echonet_lvh "$LVH" --out "$OUT/lvh/manifest.csv"
fi
if [ ! -f "$OUT/mimic/all.csv" ]; then
  options=("labels=[as_severe,as_acc_aha_2020]")
  if [ -n "$VIEWS" ]; then options+=("views=$VIEWS"); fi
  "$ECHOSSL" index mimic_iv_echo "$MIMIC" "${options[@]}" --out "$OUT/mimic/all.csv" \
    --split train=0.7 --split test=0.3 --stratify as_severe
fi
if [ ! -f "$OUT/mimic/manifest.csv" ]; then
  if [ -n "$VIEWS" ]; then
    # shellcheck disable=SC2086 # several views are several words
    "$PYTHON" experiments/studies/keep_views.py "$OUT/mimic/all.csv" "$OUT/mimic/manifest.csv" --views $KEEP
  else
    echo "VIEWS is empty: all views of MIMIC-IV-ECHO are kept, and most of them do not show the valve" >&2
    cp "$OUT/mimic/all.csv" "$OUT/mimic/manifest.csv"
  fi
fi
for name in lvh mimic; do
  manifest="$OUT/$name/manifest.csv"
  if [ ! -f "$OUT/$name/check.csv" ]; then
    "$ECHOSSL" check "$manifest" --out "$OUT/$name/check.csv" --workers "$NPROC" ||
      echo "$OUT/$name/check.csv names videos that cannot be used; they are left out" >&2
  fi
  "$ECHOSSL" prepare "manifest=$manifest" "out=$OUT/$name/store" "size=$SIZE" "workers=$NPROC"
done
"$ECHOSSL" sweep "$STUDY" "data.manifest=$OUT/mimic/manifest.csv" "data.store=$OUT/mimic/store" \
  "pretrainings.0.data.manifest=$OUT/lvh/manifest.csv" "pretrainings.0.data.store=$OUT/lvh/store" \
  "out=$OUT/study" --jobs "$NPROC" "$@"
