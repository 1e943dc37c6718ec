# Killing a run at random instants, shared by e2e/faults.sh and long/kill_50.sh. After common.bash.
for i in $(seq 300); do echo "cat number $i sat on the mat and counted $((i * i)) birds"; done >text.txt

# A run that saves after every step. One thread: the same bits however often it is stopped.
train() {
  exec nice "$fathom" train --preset v3-nano --data text.txt --batch-rows 4 --row-tokens 32 --threads 1 --log-every 1 \
    --eval-every 0 --save-every 1 "$@"
}

# Two folders of finished runs hold the same weights, optimiser state and losses, and nothing half-written.
same_run() {
  local step=$3 file
  for file in model.safetensors optimizer.safetensors; do
    cmp "$1/checkpoints/$step/$file" "$2/checkpoints/$step/$file" || die "$1 and $2 differ in $file"
  done
  same "$(grep -o '"step":[0-9]*\|"loss":[0-9.]*' "$1/metrics.jsonl" | sort)" "$(grep -o '"step":[0-9]*\|"loss":[0-9.]*' "$2/metrics.jsonl" | sort)"
  same "$(find "$1/checkpoints" -name '.*')" ''
}

# kill_often KILLS STEPS MOST_MS: kills a run that often, each time within MOST_MS of its start (the last time, of its first save,
# which a busy machine may not have reached before); what it left must load. Then the run is let go to its end, which must be that
# of a run never stopped.
kill_often() {
  local kills=$1 steps=$2 most_ms=$3 n program
  local last
  last=$(printf 'step-%08d' "$steps")
  for n in $(seq "$kills"); do
    (train --out killed --steps "$steps") >killed.log 2>&1 &
    program=$!
    if [ "$n" -eq "$kills" ]; then
      until ls killed/checkpoints/step-* >/dev/null 2>&1; do sleep 0.01; kill -0 "$program" || die "$(cat killed.log)"; done
    fi
    sleep "$(awk "BEGIN { print $((RANDOM % most_ms + 20)) / 1000 }")"
    kill -9 "$program" 2>/dev/null || true
    wait "$program" 2>/dev/null || true
    [ ! -e "killed/checkpoints/$last" ] || die "the run was over before kill $n; more steps are needed"
    if ls killed/checkpoints/step-* >/dev/null 2>&1; then
      "$fathom" inspect killed >inspected 2>&1 || die "kill $n (RANDOM=$seed): $(cat inspected)"
    fi
  done
  (train --out killed --steps "$steps") >killed.log 2>&1 || die "after $kills kills (RANDOM=$seed): $(tail -n 3 killed.log)"
  says killed.log 'continuing at step'
  (train --out whole --steps "$steps") >whole.log 2>&1 || die "$(tail -n 3 whole.log)"
  same_run killed whole "$last"
}

seed=$RANDOM
RANDOM=$seed
