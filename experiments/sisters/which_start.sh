#!/usr/bin/env bash
# Which start? (after Tayebi Arasteh et al.): four starts and a planted null, several data sets, probe and all layers, one table.
# Restartable: what is finished is not done again. From the environment: SETS (hospitals of the phantom, each a data set),
# DATA, OUT, RESULTS, SEEDS, RECIPES, FIRST_SEED (of the phantoms), NPROC (runs beside each other), START_SELF,
# START_SUPERVISED, START_DOMAIN (a file of weights or a run in place of the one that is learned here), SMALL=1
# (seconds: shows that it works, no more).
#   SMALL=1 bash experiments/sisters/which_start.sh
#   NPROC=4 bash experiments/sisters/which_start.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-.venv/bin/python}
OUT=${OUT:-runs/sisters/which_start}
DATA=${DATA:-$OUT/data}
RESULTS=${RESULTS:-$OUT/results}
NPROC=${NPROC:-1}
SISTERS=experiments/sisters
size=48 pictures=800 resamples=2000
elsewhere=(patients=500) # those of the start in domain
patients=() network=() training=() learning=() full=() # words that SMALL adds
if [ "${SMALL:-0}" = 1 ]; then
  SETS=${SETS:-"harbour lake"} SEEDS=${SEEDS:-0} size=32 pictures=48
  patients=(patients=30 "image_height=[64,64]" "videos_per_study=[1,1]") elsewhere=()
  network=(encoder.width=16 encoder.depth=1 encoder.heads=2)
  training=(optimiser.steps=2 optimiser.warmup_steps=1 batch_size=8)
  learning=(recipe.steps=2 recipe.evaluate_every=2 recipe.warmup_steps=1)
  full=(recipe.steps=2 recipe.evaluate_every=1 recipe.warmup_steps=1)
  resamples=100
fi
SETS=${SETS:-"harbour hill lake"}
SEEDS=${SEEDS:-"0 1 2"}
RECIPES=${RECIPES:-"probe full"}
FIRST_SEED=${FIRST_SEED:-6301}

findings() { # of a hospital: what it looks at
  case "$1" in
    harbour) echo "[aortic_stenosis,left_atrial_enlargement,left_ventricular_hypertrophy]" ;;
    hill) echo "[aortic_stenosis,left_atrial_enlargement,pericardial_effusion]" ;;
    *) echo "[aortic_stenosis,left_atrial_enlargement,left_ventricular_hypertrophy,pericardial_effusion]" ;;
  esac
}

data() { # one folder a hospital, the hospital "phantom" for the start in domain, and the textures
  local number=0 set place line more
  for set in phantom $SETS; do
    place="$DATA/$set"
    more="${patients[*]}"
    if [ "$set" = phantom ]; then more+=" ${elsewhere[*]}"; fi
    line="phantom $place/phantom $SISTERS/which_start_phantom.yaml sources=[$set] seed=$((FIRST_SEED + number)) workers=1 $more"
    if [ ! -f "$place/manifest.csv" ]; then
      line+=" && index phantom $place/phantom --out $place/manifest.csv --stratify severe_as"
      line+=" --split train=0.55 --split test=0.45"
    fi
    echo "$line && prepare manifest=$place/manifest.csv out=$place/store size=$size workers=1"
    number=$((number + 1))
  done
  echo "prepare manifest=$DATA/textures/manifest.csv out=$DATA/textures/store size=$size sector=keep workers=1"
}

starts() { # those that no file was given for
  local textures="data.manifest=$DATA/textures/manifest.csv data.store=$DATA/textures/store"
  local domain="data.manifest=$DATA/phantom/manifest.csv data.store=$DATA/phantom/store"
  if [ -z "${START_SELF:-}" ]; then
    echo "pretrain $SISTERS/which_start_self.yaml $textures out=$OUT/starts/self ${network[*]} ${training[*]}"
  fi
  if [ -z "${START_SUPERVISED:-}" ]; then
    echo "finetune $SISTERS/which_start_supervised.yaml $textures out=$OUT/starts/supervised ${network[*]}" \
      "${learning[*]}"
  fi
  if [ -z "${START_DOMAIN:-}" ]; then
    echo "finetune $SISTERS/which_start_in_domain.yaml $domain out=$OUT/starts/in_domain ${network[*]}" \
      "${learning[*]}"
  fi
}

# self_again is self under another name and with other seeds, so any difference of the two is chance
ARMS="self supervised in_domain random self_again"
adapt() { # recipe, data set, arm, seed: one command
  local seed=$4 start=""
  case "$3" in
    self) start="start=${START_SELF:-$OUT/starts/self}" ;;
    self_again) start="start=${START_SELF:-$OUT/starts/self}" seed=$((seed + 100)) ;;
    supervised) start="start=${START_SUPERVISED:-$OUT/starts/supervised}" ;;
    in_domain) start="start=${START_DOMAIN:-$OUT/starts/in_domain}" ;;
  esac
  local more="${network[*]}"
  if [ "$1" = full ]; then more+=" ${full[*]}"; fi
  echo "finetune $SISTERS/which_start_$1.yaml data.manifest=$DATA/$2/manifest.csv data.store=$DATA/$2/store" \
    "labels.columns=$(findings "$2") $start seed=$seed labels.draw=$seed out=$OUT/$1/$2/$3-seed$4 $more"
}

cells() {
  local recipe set arm seed
  for recipe in $RECIPES; do
    for set in $SETS; do
      for arm in $ARMS; do
        for seed in $SEEDS; do adapt "$recipe" "$set" "$arm" "$seed"; done
      done
    done
  done
}

comparison() { # recipe: the settings of echossl compare
  local set arm seed
  echo "together: true"
  echo "correction: benjamini_hochberg"
  echo "pairs: all"
  echo "metrics: [auroc]"
  echo "resamples: $resamples"
  echo "out: $RESULTS/$1.csv"
  echo "data_sets:"
  for set in $SETS; do
    echo "  $set:"
    for arm in $ARMS; do
      echo "    $arm:"
      for seed in $SEEDS; do echo "      - $OUT/$1/$set/$arm-seed$seed/predictions.csv"; done
    done
  done
}

mkdir -p "$OUT" "$RESULTS"
"$PYTHON" "$SISTERS/which_start_textures.py" "$DATA/textures" --pictures "$pictures"
for recipe in $RECIPES; do comparison "$recipe" > "$OUT/compare_$recipe.yaml"; done
{
  data && echo "---" && starts && echo "---" && cells && echo "---"
  for recipe in $RECIPES; do echo "compare $OUT/compare_$recipe.yaml"; done
} > "$OUT/commands.txt"
"$PYTHON" "$SISTERS/commands.py" "$NPROC" "$OUT/commands.txt" >&2
"$PYTHON" "$SISTERS/which_start_table.py" "$OUT" --recipes $RECIPES --results "$RESULTS"
