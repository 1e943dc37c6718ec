#!/bin/bash
# The checks of the source tree find what they are for: checks_test.sh ROOT
set -eu
scripts=$(cd "$1/scripts" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# A small tree that passes: low <- middle <- high, backend beside middle.
fresh_tree() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/cmake "$tree"/src/{low,middle,backend,high,app}
  printf 'set(FATHOM_FOLDERS\n  "low:"\n  "middle:low"\n  "backend:low"\n  "high:middle"\n  "app:high,backend"\n)\n' \
    >"$tree/cmake/fathom_folders.cmake"
  echo '#include <string>' >"$tree/src/low/low.h"
  echo '#include "low/low.h"' >"$tree/src/middle/middle.h"
  echo '#include "low/low.h"' >"$tree/src/backend/backend.h"
  printf '#include "middle/middle.h"\n#include "low/low.h"\n' >"$tree/src/high/high.cpp"
  echo '#include "backend/backend.h"' >"$tree/src/middle/middle_test.cpp"
  echo '#include <nlohmann/json.hpp>' >"$tree/src/low/json.cpp"
  printf '#include "high/high.h"\nconst char* home = getenv("HOME");\n' >"$tree/src/app/main.cpp"
  touch "$tree/src/high/high.h"
}

passes() {  # CHECK
  if ! "$scripts/$1" "$tree" >"$tree/out"; then
    echo "$1 refuses a sound tree:"; cat "$tree/out"; failed=1
  fi
}

refuses() {  # CHECK FILE TEXT MESSAGE: the check fails with MESSAGE once FILE also holds TEXT
  fresh_tree
  mkdir -p "$(dirname "$tree/$2")"
  printf '%b\n' "$3" >>"$tree/$2"
  if "$scripts/$1" "$tree" >"$tree/out"; then
    echo "$1 accepts $3 in $2"; failed=1
  elif ! grep -qF -- "$4" "$tree/out"; then
    echo "$1 refuses $3 in $2 without saying '$4':"; cat "$tree/out"; failed=1
  fi
}

fresh_tree
passes check_includes.sh
passes check_file_sizes.sh
refuses check_includes.sh src/low/low.h '#include "middle/middle.h"' 'low may include only low'
refuses check_includes.sh src/middle/middle.h '#include "backend/backend.h"' 'middle may include only middle and low'
refuses check_includes.sh src/middle/middle_test.cpp '#include "high/high.h"' 'middle may include only'
refuses check_includes.sh src/high/high.h '#include "../low/low.h"' 'write it from src/'
refuses check_includes.sh src/high/high.h '#include "high.h"' 'names no folder of src/'
refuses check_includes.sh src/high/high.h '#include "low/absent.h"' 'there is no src/low/absent.h'
refuses check_includes.sh src/stray/stray.h '#include <string>' 'missing from FATHOM_FOLDERS'
refuses check_includes.sh src/stray.h '#include <string>' 'outside every folder'
refuses check_includes.sh src/high/high.cpp 'auto v = std::getenv("X");' 'getenv below app'
refuses check_includes.sh src/high/high.cpp '#include <nlohmann/json.hpp>' 'already wrapped by'
refuses check_includes.sh src/low/low.h '#include <CLI/CLI.hpp>' 'in a header'
refuses check_file_sizes.sh src/low/long.cpp "$(printf '\\n%.0s' $(seq 1001))" 'expected at most 1000'

[ "$failed" -eq 0 ] && echo "all checks find what they are for"
exit "$failed"
