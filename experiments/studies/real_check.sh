#!/usr/bin/env bash
# Does it learn anything from real ultrasound? Ejection fraction below 45 % from two frames of 500 patients (CAMUS),
# and pneumonia against a regular lung from 55 clips (POCUS), by repeated cross-validation with the pre-training inside
# each fold. Restartable: what is finished is not done again. Words go to echossl sweep.
#   DATA=data NPROC=4 bash experiments/studies/real_check.sh
#   DATA     folder with MANIFEST.csv, camus_a4c/ and pocus_lung/
#   OUT      where everything goes                          runs/real_check
#   RESULTS  folder of the tables                           OUT/results
#   SETS     which data sets                                camus_a4c pocus_lung
#   FOLDS    parts that are tested in turn                  5
#   REPEATS  how often patients are dealt to folds anew     2
#   SIZE     height and width of a stored frame             48
#   NPROC    runs side by side, one thread each             one per core
#   CHOICE   1 to run first what the settings were chosen from, on patients who are never tested; else empty
#   STUDIES  folder of real_check_SET.yaml                  experiments/studies
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:?give the folder of the real data}
OUT=${OUT:-runs/real_check}
RESULTS=${RESULTS:-$OUT/results}
SETS=${SETS:-camus_a4c pocus_lung}
FOLDS=${FOLDS:-5}
REPEATS=${REPEATS:-2}
SIZE=${SIZE:-48}
NPROC=${NPROC:-0}
CHOICE=${CHOICE:-}
STUDIES=${STUDIES:-experiments/studies}
SCRIPTS=experiments/studies

# nobody of the lung is set aside: there are 25 patients
declare -A COLUMN=([camus_a4c]=ef_below_45 [pocus_lung]=pneumonia) ASIDE=([camus_a4c]=0.2 [pocus_lung]=0)

# run the study of a data set on a manifest: sweep SET STUDY MANIFEST OUT [KEY=VALUE]...
sweep() {
  local store="$OUT/$1/store$SIZE"
  "$ECHOSSL" sweep "$2" "data.manifest=$3" "data.store=$store" "out=$4" --jobs "$NPROC" "${@:5}"
}

for name in $SETS; do
  folder="$OUT/$name"
  if [ ! -f "$folder/manifest.csv" ]; then
    "$PYTHON" $SCRIPTS/real_check_files.py "$name" "$DATA" "$folder"
    "$ECHOSSL" index csv "$folder/videos.csv" --out "$folder/manifest.csv"
  fi
  "$ECHOSSL" prepare "manifest=$folder/manifest.csv" "out=$folder/store$SIZE" "size=$SIZE" "workers=$NPROC"
  # the same folds come out every time; more repeats leave those that are there as they are
  "$PYTHON" $SCRIPTS/real_check_folds.py "$folder/manifest.csv" "$folder/${FOLDS}folds" --column "${COLUMN[$name]}" \
    --folds "$FOLDS" --repeats "$REPEATS" --aside "${ASIDE[$name]}"
  choice="$STUDIES/real_check_${name}_choice.yaml"
  if [ -n "$CHOICE" ] && [ -f "$choice" ]; then
    sweep "$name" "$choice" "$folder/${FOLDS}folds/aside.csv" "$folder/choice" "$@"
  fi
done

for repeat in $(seq 0 $((REPEATS - 1))); do
  for name in $SETS; do
    for fold in $(seq 0 $((FOLDS - 1))); do
      run="$OUT/$name/${FOLDS}folds/repeat$repeat-fold$fold"
      sweep "$name" "$STUDIES/real_check_$name.yaml" "$run.csv" "$run" "first_seed=$repeat" "$@"
    done
  done
done

for name in $SETS; do
  "$PYTHON" $SCRIPTS/real_check_pool.py "$OUT/$name/${FOLDS}folds" --study "$STUDIES/real_check_$name.yaml" \
    --out "$RESULTS/real_$name"
done
