#!/bin/bash
# clang-tidy over src/: tidy.sh BUILD_FOLDER [FILE...]
# Tests are left out (GoogleTest's macros), and so are kernels by intrinsics, whose target regions only GCC reads.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(find src -name '*.cpp' ! -name '*_test.cpp' ! -name 'cpu_*.cpp' ! -path '*/ops/*/cpu.cpp' | sort)
fi
printf '%s\n' "${files[@]}" |
  xargs -P "$(nproc)" -n 4 clang-tidy-14 -p "$build" --quiet --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option 2>&1 |
  { grep -v ' warnings\? generated\.$' || true; }
