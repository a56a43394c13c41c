#!/usr/bin/env bash
# A view classifier from videos whose views are known, the views of videos whose views are not, and of those the
# ones that are wanted. Restartable.
#   NAMED=/data/named UNNAMED=/data/mimic bash experiments/views.sh
#   NAMED     folder with manifest.csv that has view and split, and store/ (made if it is not there)
#   UNNAMED   folder with manifest.csv whose views are empty, and store/ (made if it is not there)
#   AT_LEAST  smallest confidence of a view that is written   0.8
#   KEEP      views that are kept, such as "PLAX PSAX"        PLAX
#   START     encoder that the classifier starts from        random weights
#   OUT       where everything goes                          runs/views
#   SIZE      height and width of a stored frame             112
#   NPROC     processes that decode                          one per core
# Without NAMED and UNNAMED two phantoms of PATIENTS (60) patients are made, each study with videos of two views; the
# manifest of the second does not say which.
# Words go to echossl finetune: hardware.device=cuda, or recipe.steps=300.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
PYTHON=${PYTHON:-.venv/bin/python}
NAMED=${NAMED:-}
UNNAMED=${UNNAMED:-}
AT_LEAST=${AT_LEAST:-0.8}
KEEP=${KEEP:-PLAX}
START=${START:-}
OUT=${OUT:-runs/views}
NPROC=${NPROC:-0}
PATIENTS=${PATIENTS:-60}
SETTINGS=${SETTINGS:-experiments/finetune/view_classifier.yaml}

# phantom NAME SEED: videos and a manifest of their own for each, with both views in a study
phantom() {
  "$ECHOSSL" phantom "$OUT/$1/phantom" --patients "$PATIENTS" --seed "$2" "views=[plax,a4c]" view=sector \
    "workers=$NPROC" "videos_per_study=[2,3]" "beats=[1.0,1.2]" "frames_per_second=[25,30]" "image_height=[64,80]"
  if [ ! -f "$OUT/$1/known.csv" ]; then
    "$ECHOSSL" index phantom "$OUT/$1/phantom" --out "$OUT/$1/known.csv" --split train=0.7 --split test=0.3
  fi
}

if [ -z "$NAMED" ] || [ -z "$UNNAMED" ]; then
  NAMED="$OUT/named" UNNAMED="$OUT/unnamed" SIZE=${SIZE:-48}
  phantom named 2041
  phantom unnamed 2042
  cp "$NAMED/known.csv" "$NAMED/manifest.csv"
  "$PYTHON" -c "import pandas, sys; pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False) \
    .drop(columns='view').to_csv(sys.argv[2], index=False)" "$UNNAMED/known.csv" "$UNNAMED/manifest.csv"
fi
for folder in "$NAMED" "$UNNAMED"; do
  "$ECHOSSL" prepare "manifest=$folder/manifest.csv" "out=$folder/store" "size=${SIZE:-112}" "workers=$NPROC"
done

options=()
if [ -n "$START" ]; then options+=("start=$START"); fi
"$ECHOSSL" finetune "$SETTINGS" "data.manifest=$NAMED/manifest.csv" "data.store=$NAMED/store" \
  "out=$OUT/classifier" "${options[@]}" "$@"
"$ECHOSSL" evaluate "$OUT/classifier/predictions.csv"
if [ ! -f "$OUT/with_views.csv" ]; then
  "$ECHOSSL" views "$OUT/classifier" "$UNNAMED/manifest.csv" --store "$UNNAMED/store" \
    --at-least "$AT_LEAST" --out "$OUT/with_views.csv"
fi
# shellcheck disable=SC2086 # several views are several words
"$PYTHON" experiments/studies/keep_views.py "$OUT/with_views.csv" "$OUT/manifest.csv" --views $KEEP
