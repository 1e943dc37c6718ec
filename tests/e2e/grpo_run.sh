# fathom grpo: stopped and continued bit for bit, full disks, numbers that break down. Rewards are drawn by lot, so that a model
# that knows nothing has something to learn in every step.
fathom=$1; . "$(dirname "$0")/common.bash"
"$fathom" init --preset v3-nano --tokenizer 'characters:0123456789+-=? abcdefghijklmnopqrstuvwxyz' --seed 1 --out start >/dev/null
flags=(--init start --tasks modsum=4 --group-size 4 --max-tokens 8 --exam-problems 8 --reward random --threads 1)
grpo() { "$fathom" grpo "${flags[@]}" "$@"; }
grpo_job() { exec "$fathom" grpo "${flags[@]}" "$@"; }

# same_run ONE OTHER STEP: the same weights, optimiser state and figures but for times, and nothing half-written.
figures() { sed -E 's/"[a-z]+_s":[-0-9.e+]+,?//g' "$1/metrics.jsonl"; }
same_run() {
  local file
  for file in model.safetensors optimizer.safetensors; do
    cmp "$1/checkpoints/$3/$file" "$2/checkpoints/$3/$file" || die "$1 and $2 differ in $file"
  done
  same "$(figures "$1")" "$(figures "$2")"
  same "$(find "$1/checkpoints" -name '.*')" ''
}

# --- continued after its end, after Ctrl-C and after kill -9
status 0 grpo --out whole --steps 60 --save-every 1
same "$(wc -l <whole/metrics.jsonl)" 60
status 0 grpo --out longer --steps 20
status 0 grpo --out longer --steps 60 --resume auto
says err 'continuing at step 20'
same_run longer whole step-00000060
set -m  # a background job of a script ignores SIGINT unless job control is on
for signal in INT KILL; do
  (grpo_job --out stopped-$signal --steps 60 --save-every 1 --resume auto) >out 2>err </dev/null &
  program=$!
  until ls stopped-$signal/checkpoints/step-* >/dev/null 2>&1; do sleep 0.01; kill -0 $program || die "it ended early"; done
  got=0; kill -$signal $program; wait $program 2>/dev/null || got=$?
  same "$got" "$([ $signal = INT ] && echo 130 || echo 137)"
  [ ! -e stopped-$signal/checkpoints/step-00000060 ] || die 'it was over before the signal came'
  status 0 "$fathom" inspect stopped-$signal
  status 0 grpo --out stopped-$signal --steps 60 --save-every 1 --resume auto
  says err 'continuing at step'
  same_run stopped-$signal whole step-00000060
done
set +m
# With a KL term the model to stay near is the one that the run began with, also after a stop.
status 0 grpo --out kl --steps 8 --kl k3 --kl-beta 0.1
status 0 grpo --out kl-longer --steps 4 --kl k3 --kl-beta 0.1
status 0 grpo --out kl-longer --steps 8 --kl k3 --kl-beta 0.1
same_run kl-longer kl step-00000008
! cmp -s kl/checkpoints/step-00000008/model.safetensors whole/checkpoints/step-00000008/model.safetensors || die 'the KL term does nothing'

# --- settings of a run that is continued
status 2 grpo --out kl --steps 9 --kl k3 --kl-beta 0.1 --resume never
says err '--resume never: kl already holds kl/checkpoints/step-00000008'
status 2 grpo --out kl --steps 9 --kl k3 --kl-beta 0.1 --resume maybe
says err "--resume is 'maybe'; expected auto or never"
status 2 grpo --out kl --steps 7 --kl k3 --kl-beta 0.1
says err 'at step 8 already'
status 2 grpo --out kl --steps 9 --kl k3 --kl-beta 0.2
says err 'resume: --kl-beta is 0.2 but the run began with 0.1'

# --- a full disk: the run goes on and warns, the earlier save stays, the last save decides the exit status
status 0 grpo --out full --steps 4 --save-every 2
status 1 bash -c 'ulimit -f 1500; exec "$@"' - "$fathom" grpo "${flags[@]}" --out full --steps 8 --save-every 2
same "$(grep -c 'warning: step [68]: checkpoint not saved: ' err)" 2
says err 'step 8/8'
same "$(ls -A full/checkpoints)" "$(printf 'step-00000002\nstep-00000004')"
status 0 "$fathom" inspect full
status 0 grpo --out full --steps 8 --save-every 2
says err 'continuing at step 4'
status 0 grpo --out roomy --steps 8
same_run full roomy step-00000008
mkdir small
if mount -t tmpfs -o size=13m none small 2>/dev/null; then
  trap 'umount small' EXIT
  status 1 grpo --out small/run --steps 6 --save-every 1 --keep 0
  says err 'checkpoint not saved: disk full'
  says err 'step 6/6'
  status 0 "$fathom" inspect small/run
  umount small
  trap - EXIT
fi

# --- numbers that break down: each step is skipped with a word, ten in a row end the run, what was saved stays
status 1 grpo --out wild --steps 50 --mtp-weight 1e300 --save-every 1
same "$(grep -c 'warning: step [0-9]*: the loss or its gradient is not finite; the step is skipped' err)" 10
says err 'the last 10 steps gave no finite loss; stopped at step 10 of 50. Lower --lr'
[ ! -e wild/checkpoints ] || die 'weights without a finite loss were saved'
status 1 grpo --out wild-end --steps 5 --mtp-weight 1e300  # fewer, but nothing behind them says that all is well again
says err 'the last 5 steps gave no finite loss'
[ ! -e wild-end/checkpoints ] || die 'weights without a finite loss were saved'
status 1 grpo --out ruined --steps 50 --lr 1e30 --save-every 1  # the first step is the last that can be sampled from
same "$(grep -c "warning: step [0-9]*: the sampler's logits are not finite; the step is skipped" err)" 10
same "$(ls ruined/checkpoints)" step-00000001
status 1 grpo --out ruined-json --steps 50 --lr 1e30 --json
same "$(grep -c '"event":"warning"' out)" 10
