#!/bin/bash
# Runs tests/long/*.sh one after the other: run_long_tests.sh BUILD_FOLDER
# Each prints one line with what it measured; the output of a failed one is shown whole.
set -eu
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
export FATHOM_SHARED_DIR="$source_dir/../shared"
failed=0
ran=0
for script in "$source_dir"/tests/long/*.sh; do
  [ -e "$script" ] || continue
  name=$(basename "$script" .sh)
  log="$build/long-$name.log"
  start=$SECONDS
  status=0
  "$source_dir/scripts/run_script_test.sh" "$build/long/$name" "$script" "$build/fathom" >"$log" 2>&1 || status=$?
  ran=$((ran + 1))
  took=$((SECONDS - start))
  case $status in
    0) echo "pass  $name (${took} s): $(tail -n 1 "$log")" ;;
    77) echo "skip  $name: $(tail -n 1 "$log")" ;;
    *)
      failed=$((failed + 1))
      echo "FAIL  $name (${took} s), exit status $status; $log:"
      cat "$log"
      ;;
  esac
done
echo "$ran long tests, $failed failed"
[ "$failed" -eq 0 ]
