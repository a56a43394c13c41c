# Read by the scripts beside it: what the environment says, and the data. From the environment come
#   DATA      folder with manifest.csv, and store/ (made if it is not there); empty makes a phantom below OUT
#   OUT       where everything goes                        runs/label_efficiency, with SMALL runs/label_efficiency_small
#   NPROC     runs side by side, one thread each           one per core
#   SMALL     1 for a study that ends in two minutes       empty: 800 training patients, hours on a few cores
#   STUDY     the study's settings                         experiments/studies/label_efficiency.yaml
#   SIZE      height and width of a stored frame of DATA   112
#   GIVEN     weights that a study asks about: its settings are then label_efficiency_given.yaml; phantom makes some
#   ECHOSSL   the program                                  .venv/bin/echossl
# Words that a script is given go to echossl sweep, such as hardware.device=cuda or draws=3.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ECHOSSL=${ECHOSSL:-.venv/bin/echossl}
SMALL=${SMALL:-}
NPROC=${NPROC:-0}
GIVEN=${GIVEN:-}
SUFFIX=${GIVEN:+_given}${SMALL:+_small}
OUT=${OUT:-runs/label_efficiency$SUFFIX}
STUDY=${STUDY:-experiments/studies/label_efficiency$SUFFIX.yaml}
DATA=${DATA:-}

# make_phantom FOLDER SEED: patients that nothing was tuned on; a folder that is whole already is left as it is.
make_phantom() {
  local patients=1100 shares=(--split train=0.7273 --split test=0.2727)
  local videos=("beats=[1.2,1.6]" "image_height=[96,112]")
  if [ -n "$SMALL" ]; then
    patients=48 shares=(--split train=0.5 --split test=0.5)
    videos=("beats=[1.0,1.2]" "image_height=[64,72]")
  fi
  "$ECHOSSL" phantom "$1/phantom" --patients "$patients" --seed "$2" "workers=$NPROC" \
    "videos_per_study=[2,2]" "frames_per_second=[25,30]" "${videos[@]}"
  if [ ! -f "$1/manifest.csv" ]; then
    "$ECHOSSL" index phantom "$1/phantom" --out "$1/manifest.csv" --stratify severe_as --seed "$2" "${shares[@]}"
  fi
}

# prepare_store FOLDER: its manifest's videos, decoded once.
prepare_store() {
  "$ECHOSSL" prepare "manifest=$1/manifest.csv" "out=$1/store" "size=$SIZE" "workers=$NPROC"
}

if [ -z "$DATA" ]; then
  DATA="$OUT/data"
  SIZE=48
  if [ -n "$SMALL" ]; then SIZE=32; fi
  make_phantom "$DATA" 2030
fi
SIZE=${SIZE:-112}
prepare_store "$DATA"

given_words=()
if [ "$GIVEN" = phantom ]; then
  GIVEN="$OUT/given/pretrain"
  make_phantom "$OUT/given" 2031
  prepare_store "$OUT/given"
  "$ECHOSSL" pretrain experiments/pretrain/default.yaml "data.manifest=$OUT/given/manifest.csv" \
    "data.store=$OUT/given/store" "out=$GIVEN"
fi
if [ -n "$GIVEN" ]; then
  given_words=("pretrainings.0.start=$GIVEN" "arms.1.start=$GIVEN")
fi

# The study on this data: sweep [OPTION]... [KEY=VALUE]...
sweep() {
  "$ECHOSSL" sweep "$STUDY" "data.manifest=$DATA/manifest.csv" "data.store=$DATA/store" "out=$OUT/study" \
    "${given_words[@]}" --jobs "$NPROC" "$@"
}
