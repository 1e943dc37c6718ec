# The quick demo, stopped by Ctrl-C in the middle of pretraining and again in GRPO, ends with the figures of one never stopped.
fathom=$1; . "$(dirname "$0")/../e2e/common.bash"
demo() { exec "$fathom" demo --quick --seed 1 --no-control --yes --json --threads 2 --out "$@"; }
set -m  # a background job of a script ignores SIGINT unless job control is on

# stop_in CHAPTER STEP: runs until that step of that chapter has been told, then presses Ctrl-C.
stop_in() {
  local got=0
  (demo stopped) >part.jsonl 2>err </dev/null &
  local program=$!
  until grep -q "\"event\":\"step\",\"chapter\":\"$1\",.*\"step\":$2[,}]" part.jsonl; do
    sleep 0.05
    kill -0 "$program" 2>/dev/null || die "no step $2 in $1: $(cat err)"
  done
  kill -INT "$program"
  wait "$program" || got=$?
  same "$got" 130
  says part.jsonl '"event":"stopped"'
}
stop_in pretrain 120
stop_in cold_start 20
stop_in grpo 8
(demo stopped) >last.jsonl 2>err </dev/null || die "$(cat err)"
says last.jsonl 'continuing at step'
(demo whole) >whole.jsonl 2>err </dev/null || die "$(cat err)"

# What does not depend on the clock.
figures() { tail -n 1 "$1" | sed -E -e "s/(stopped|whole)/demo/g" -e 's/"[a-z_]*(wall_s|_s|_per_s|seconds)":[-0-9.e+]+,?//g'; }
same "$(figures last.jsonl)" "$(figures whole.jsonl)"
cmp stopped/model/model.safetensors whole/model/model.safetensors || die 'the weights differ'
for name in pretrain cold_start grpo; do
  same "$(grep -oE '"(step|loss|reward)":[-0-9.e+]+' "stopped/metrics-$name.jsonl")" "$(grep -oE '"(step|loss|reward)":[-0-9.e+]+' "whole/metrics-$name.jsonl")"
done
echo "stopped in pretraining, cold start and GRPO: the same figures and weights, after $(figures whole.jsonl | sed -nE 's/.*("after":\{"t1":[0-9.]+).*/\1/p')"
