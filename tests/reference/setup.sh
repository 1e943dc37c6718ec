#!/usr/bin/env bash
# Makes the Python environment of the reference tests.
#
#   tests/reference/setup.sh [FOLDER]     default: ~/.cache/fathom/reference-venv
#
# Nothing of it is needed to build or to run Fathom. Exits 77 (skipped) with the reason where there
# is no Python or no package index. A folder that already holds these versions is left as it is.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/fathom/reference-venv}
requirements=$here/requirements.txt
cuda=/usr/local/cuda

skip() {
  echo "reference tests skipped: $1"
  exit 77
}

works() {
  "$folder/bin/python" -c 'import torch, transformers, tokenizers, safetensors, jinja2' 2>/dev/null
}

# The CPU part of a torch wheel from the index still links against CUDA libraries, several GB of
# packages. Where this machine has them, links stand in for most.
borrow_cuda() {
  local torch=$1 name found
  [ -e "$cuda/lib64/libcublas.so.13" ] || return 1
  for name in libcudart.so.13 libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcufft.so.12 \
              libcurand.so.10 libcusparse.so.12 libcusolver.so.12 libnvrtc.so.13 \
              libnvJitLink.so.13 libcupti.so.13; do
    for found in "$cuda/lib64/$name" "$cuda/lib/$name" "$cuda/extras/CUPTI/lib64/$name"; do
      if [ -e "$found" ]; then
        ln -sf "$(readlink -f "$found")" "$torch/lib/$name"
        break
      fi
    done
  done
}

# pip complains that the CUDA packages left out are missing: its words go to a file.
run_pip() {
  "$folder/bin/pip" --disable-pip-version-check install "$@" >>"$folder/setup.log" 2>&1
}

install() {
  local torch
  torch=$(grep '^torch==' "$requirements")
  run_pip --no-deps "$torch" || skip "the package index cannot be reached or lacks $torch"
  grep -v '^torch==' "$requirements" >"$folder/rest.txt"
  run_pip -r "$folder/rest.txt" filelock typing_extensions sympy networkx fsspec 'setuptools>=77' ||
    skip "the package index lacks what $requirements names"
  if borrow_cuda "$folder"/lib/python3.*/site-packages/torch; then
    run_pip --no-deps -r "$here/requirements-cuda.txt" && works && return
  fi
  run_pip --force-reinstall "$torch"
}

command -v python3 >/dev/null || skip "no python3"
python3 -c 'import venv, ensurepip' 2>/dev/null || skip "python3 lacks venv (Debian: python3-venv)"
if ! cmp -s "$requirements" "$folder/installed.txt" || ! works; then
  python3 -m venv "$folder"
  install
  works || { echo "setup: no torch and transformers to import; see $folder/setup.log" >&2; exit 1; }
  cp "$requirements" "$folder/installed.txt"
fi
echo "$folder"
