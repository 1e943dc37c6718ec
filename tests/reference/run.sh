#!/usr/bin/env bash
# All tests that compare Fathom with published implementations in Python.
#
#   tests/reference/run.sh BUILD_FOLDER [MODEL_FOLDER...]
#
# Checks the stored vectors against what the installed implementations compute here, then compares
# BUILD_FOLDER/fathom with them on each tiny model, on the model folders given, and on the chat
# templates of FATHOM_SHARED_DIR (default: ../shared beside the checkout). Exits 77 with the reason
# where Python or its packages are not to be had. FATHOM_REFERENCE_VENV names the environment.
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
"$python" "$here/compare.py" "$here"/../vectors/*/ "$@" --fathom "$build/fathom" || status=1

tokenizers=$(grep -ls '"chat_template"' \
  "${FATHOM_SHARED_DIR:-$here/../../../shared}"/data/tokenizers/*/tokenizer_config.json |
  xargs -r dirname)
if [ -n "$tokenizers" ]; then
  # shellcheck disable=SC2086  # one folder a word
  "$python" "$here/compare.py" $tokenizers --fathom "$build/fathom" \
    --checks template --messages "$here/messages.json" || status=1
else
  echo "chat templates skipped: no tokenizers in the shared folder"
fi
exit $status
