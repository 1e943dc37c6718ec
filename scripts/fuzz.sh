#!/bin/bash
# Looks for inputs that break readers of foreign bytes: fuzz.sh BUILD_FOLDER SECONDS [TARGET...]
#
# Each target (all, unless some are named) runs for SECONDS and goes on where its last slice ended:
#   BUILD_FOLDER/found/TARGET   inputs that reached new code; the committed ones in fuzz/corpus/TARGET are tried, too
#   BUILD_FOLDER/ledger.tsv     a line a slice: day and time, commit, target, executions, CPU seconds, inputs, outcome
#   BUILD_FOLDER/failed         inputs that crashed a target, leaked, took over 30 s or asked for over 100 MB at once
# A slice that is ended early (Ctrl-C, or SIGUSR1 to the target's process) is counted like any other. Exit status 1
# where an input failed. Such an input belongs in fuzz/corpus/TARGET, with the repair.
set -u
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd) || exit 2
seconds=$2
shift 2
if [ $# -eq 0 ]; then
  for program in "$build"/fuzz/*_fuzz; do set -- "$@" "$(basename "$program" _fuzz)"; done
fi
ledger="$build/ledger.tsv"
mkdir -p "$build/failed"
commit=$(git -C "$source_dir" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
# A small quarantine and short stacks of allocations: nearly twice as many executions.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16:malloc_context_size=6}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
TIMEFORMAT='%U %S'
stopped=0
trap 'stopped=1' INT TERM
failed=0

# statistic LOG NAME: the last value of libFuzzer's final statistics.
statistic() { awk -v name="stat::$2:" '$1 == name { value = $2 } END { print value + 0 }' "$1"; }

# Of thousands of kept inputs, the smallest that reach what all of them reach.
compact() {  # TARGET
  local found="$build/found/$1"
  [ "$(find "$found" -type f | wc -l)" -gt 5000 ] || return 0
  rm -rf "$found.new" && mkdir "$found.new"
  if "$build/fuzz/$1_fuzz" -merge=1 -timeout=30 "$found.new" "$found" >/dev/null 2>&1; then
    rm -rf "$found" && mv "$found.new" "$found"
  else
    rm -rf "$found.new"  # an input fails now; the slice will say which
  fi
}

slice() {  # TARGET
  local target=$1 log="$build/failed/$1.log" status=0 outcome=ok cpu
  local found="$build/found/$target"
  mkdir -p "$found"
  compact "$target"
  cpu=$({ time "$build/fuzz/${target}_fuzz" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=100 \
    -print_final_stats=1 -reload=0 -dict="$source_dir/fuzz/$target.dict" -artifact_prefix="$build/failed/$target-" \
    "$found" "$source_dir/fuzz/corpus/$target" >"$log" 2>&1 || status=$?; echo "status $status" >>"$log"; } 2>&1)
  status=$(awk '$1 == "status" { print $2 }' "$log" | tail -n 1)
  [ "$stopped" -eq 1 ] && [ "$status" -eq 72 ] && status=0  # libFuzzer's status of an interrupted run
  if [ "$status" -ne 0 ]; then
    outcome=$(awk '/Test unit written to/ { print $NF }' "$log" | tail -n 1)
    outcome=${outcome:-"status $status"}
    failed=1
    echo "FAIL  $target: $outcome; from $log:"
    grep -E '^broken property|runtime error|ERROR:|^SUMMARY|^    #[0-9]+ ' "$log" | cut -c 1-200 | head -n 30
  fi
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$commit" "$target" \
    "$(statistic "$log" number_of_executed_units)" "$(echo "$cpu" | awk '{ print $1 + $2 }')" \
    "$(find "$found" -type f | wc -l)" "$outcome" >>"$ledger"
}

for target in "$@"; do
  [ "$stopped" -eq 0 ] && slice "$target"
done

echo "target        executions   CPU hours   at $commit: executions   CPU hours   failed slices"
awk -F '\t' -v commit="$commit" '
  { runs[$3] += $4; cpu[$3] += $5; if ($2 == commit) { now[$3] += $4; now_cpu[$3] += $5 } if ($7 != "ok") bad[$3]++ }
  END { for (t in runs)
          printf "%-12s %11d %11.2f %*d %11.2f %15d\n", t, runs[t], cpu[t] / 3600, length(commit) + 16, now[t], now_cpu[t] / 3600, bad[t] }
' "$ledger" | sort
exit $failed
