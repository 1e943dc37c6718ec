#!/usr/bin/env bash
# All tests that compare Fathom with published implementations in Python.
#
#   tests/reference/run.sh BUILD_FOLDER [MODEL_FOLDER...]
#
# Checks the stored vectors against what the installed implementations compute here, then compares
# BUILD_FOLDER/fathom with them on each tiny model, on the model folders given and on tokenizers.
# Exits 77 with the reason where Python or its packages are not to be had. FATHOM_REFERENCE_VENV names
# the environment, FATHOM_SHARED_DIR the folder with data/tokenizers.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: run.sh BUILD_FOLDER [MODEL_FOLDER...]}
shift
[ -x "$build/fathom" ] || { echo "run.sh: no program $build/fathom; build it first" >&2; exit 2; }

answer=$("$here/setup.sh" ${FATHOM_REFERENCE_VENV:+"$FATHOM_REFERENCE_VENV"}) || {
  status=$?
  echo "$answer"
  exit $status
}
python=$answer/bin/python
export OMP_NUM_THREADS=2 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1

status=0
"$python" "$here/make_vectors.py" --check || status=1
# All but those whose numbers the library does not have (plain.py makes them).
folders=()
for folder in "$here"/../vectors/*/; do
  [ -e "$folder/config.json" ] || continue
  case $folder in */deepseek_moe_16b/ | */deepseek_v2_normalised/) continue ;; esac
  folders+=("${folder%/}")
done
# FP8 codes and scales that Fathom wrote, of a size whose weights stay in the file.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$build/fathom" init --preset small-moe --tokenizer bytes --seed 1 --dtype fp8 --out "$scratch/fp8"
"$python" "$here/compare.py" "${folders[@]}" "$scratch/fp8" "$@" --fathom "$build/fathom" || status=1
"$python" "$here/long_positions.py" --fathom "$build/fathom" --tokens 6000 || status=1
"$python" "$here/round_trip.py" --fathom "$build/fathom" || status=1

"$python" "$here/tokenizer_training_compare.py" --fathom "$build/fathom" || status=1
tokenizers=${FATHOM_SHARED_DIR:-$here/../../../shared}/data/tokenizers
if [ -d "$tokenizers" ]; then
  "$python" "$here/tokenizers_compare.py" --megabytes 2 --adversarial-kilobytes 50 --fathom "$build/fathom" \
            --data "$tokenizers" || status=1
fi

"$python" "$here/templates.py" check || status=1
shared=${FATHOM_SHARED_DIR:-$here/../../../shared}
if [ -d "$shared/data/templates" ] && [ -x "$build/tests/render_template" ]; then
  "$python" "$here/templates.py" compare "$build/tests/render_template" "$shared" || status=1
fi

exit $status
