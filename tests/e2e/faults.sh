# What goes wrong around a training run: kills, full disks, broken data, broken numbers, wrong settings.
fathom=$1; here=$(dirname "$0"); . "$here/common.bash"; . "$here/kills.bash"
short() { "$fathom" train --preset v3-nano --data text.txt --batch-rows 4 --row-tokens 32 --threads 1 "$@"; }

# --- kill -9
kill_often 5 150 500

# --- a full disk: the run goes on and warns, the earlier save stays, the last save decides the exit status
status 0 short --out full --steps 4 --save-every 2
status 1 bash -c 'ulimit -f 1500; exec "$@"' - "$fathom" train --preset v3-nano --data text.txt --batch-rows 4 --row-tokens 32 \
  --threads 1 --out full --steps 8 --save-every 2
same "$(grep -c 'warning: checkpoint not saved' err)" 2
says err 'step 8/8'
same "$(ls -A full/checkpoints)" "$(printf 'step-00000002\nstep-00000004')"
status 0 "$fathom" inspect full
status 0 short --out full --steps 8 --save-every 2
says err 'continuing at step 4'
status 0 short --out roomy --steps 8
cmp full/checkpoints/step-00000008/model.safetensors roomy/checkpoints/step-00000008/model.safetensors || die 'the full disk left a trace'

# --- a damaged checkpoint is named, and the one before it
cp -r full hurt
truncate -s 100000 hurt/checkpoints/step-00000008/model.safetensors
for command in 'run hurt 1 -n 1' 'score hurt 12' 'inspect hurt'; do
  # shellcheck disable=SC2086
  status 3 "$fathom" $command
  says err 'hurt/checkpoints/step-00000008/model.safetensors'
  says err 'The checkpoint before it is hurt/checkpoints/step-00000006; it can be used in place of hurt'
done
status 3 short --out hurt --steps 9
says err 'remove hurt/checkpoints/step-00000008, and the same command continues from there'
rm -r hurt/checkpoints/step-00000008
status 0 short --out hurt --steps 7
says err 'continuing at step 6'

mkdir small
if mount -t tmpfs -o size=13m none small 2>/dev/null; then
  trap 'umount small' EXIT
  status 1 short --out small/run --steps 6 --save-every 1 --keep 0
  says err 'warning: checkpoint not saved: disk full'
  says err 'step 6/6'
  status 0 "$fathom" inspect small/run
  umount small
  trap - EXIT
fi

# --- data
status 1 short --out no --data absent.txt
says err absent.txt
: >empty.txt; status 1 "$fathom" train --data empty.txt --out no
says err 'empty.txt'
printf 'one \xff two\n' >bytes.txt; status 1 "$fathom" train --data bytes.txt --out no
says err 'bytes.txt'
echo tiny >tiny.txt; status 1 "$fathom" train --data tiny.txt --out no
says err 'tiny.txt holds'
says err 'lower --row-tokens'
echo '{"text": ' >cut.jsonl; status 1 "$fathom" train --data cut.jsonl --out no
says err 'cut.jsonl'
mkdir folder; status 1 "$fathom" train --data folder --out no
status 2 "$fathom" train --data /dev/null --out no
says err 'neither .txt nor .jsonl'
status 1 "$fathom" sft --init full --data text.txt --out no
says err 'conversations'
printf '{"prompt": "1", "answer": "2"}\n\n{"prompt": "%0300d", "answer": "2"}\n' 1 >long.jsonl
status 1 "$fathom" sft --init full --data long.jsonl --out no
says err 'long.jsonl:3: the document has'
[ ! -e no ] || die 'a run that was refused left something behind'
if [ "$(id -u)" -ne 0 ]; then
  cp text.txt locked.txt; chmod 000 locked.txt
  status 1 "$fathom" train --data locked.txt --out no
fi

# --- numbers that break down: each step is skipped with a word, ten in a row end the run, what was saved stays
status 1 short --out wild --steps 50 --lr 1e30 --warmup-steps 0 --save-every 1
same "$(grep -c 'the step is skipped' err)" 10
says err '10 steps in a row'
same "$(ls wild/checkpoints)" step-00000001
status 0 "$fathom" inspect wild
status 1 short --out wild-json --steps 50 --lr 1e30 --warmup-steps 0 --log-every 1 --eval-every 2 --save-every 0 --json
same "$(grep -c '"event":"warning"' out)" 10
cp -r roomy/checkpoints/step-00000008 nan  # its last tensor becomes NaN
printf '\377%.0s' $(seq 256) >ones
dd if=ones of=nan/model.safetensors bs=1 seek=$(($(stat -c %s nan/model.safetensors) - 256)) conv=notrunc status=none
status 1 short --init nan --out from-nan --steps 50 --save-every 1 --eval-every 1
same "$(grep -c 'the step is skipped' err)" 10
[ ! -e from-nan/checkpoints ] || die 'weights without a finite loss were saved'
status 1 short --init nan --out from-nan --steps 5
says err 'validation loss'

# --- settings
status 2 short --out no --stepz 4
says err 'did you mean --steps'
echo 'sav_every = 4' >run.toml
status 2 "$fathom" train run.toml --data text.txt --out no
says err "unknown key 'sav_every' in run.toml; did you mean save_every"
echo 'steps = "many"' >run.toml
status 2 "$fathom" train run.toml --data text.txt --out no
status 1 "$fathom" train absent.toml --data text.txt --out no
status 2 "$fathom" train --data text.txt
says err --out
status 2 "$fathom" train --out no
says err --data
for flags in '--steps 0' '--steps -5' '--steps 1000000000000000000' '--steps 99999999999999999999' '--batch-rows -1' \
  '--batch-rows 1000000000000' '--row-tokens 1000000000000' '--microbatches 1000000000000' '--microbatches 0' '--seed -1' \
  '--seed 18446744073709551615' '--lr -1' '--lr nan' '--lr inf' '--holdout nan' '--holdout 1' '--beta1 1' '--beta2 5' \
  '--eps -1' '--clip-norm nan' '--final-ratio inf' '--keep -1' '--schedule linear' '--resume maybe' '--preset v3-nana'; do
  # shellcheck disable=SC2086
  status 2 timeout 20 "$fathom" train --preset v3-nano --data text.txt --out no $flags
  grep -qF -e "${flags%% *}" -e "'${flags##* }'" err || die "$flags: $(cat err)"
done
status 4 timeout 20 "$fathom" train --preset v3-nano --data text.txt --out no --batch-rows 1000000
says err 'Lower --batch-rows'
status 4 short --out no --memory-mb 5
for flags in '--group-size 1' '--group-size 1000000000000' '--tasks modsum=99999999999' '--tasks modsun=4' '--exam-problems 0' \
  '--temperature nan' '--steps 1000000000000'; do
  # shellcheck disable=SC2086
  status 2 timeout 20 "$fathom" grpo --init full --out no $flags
done

# --- continuing a run under other settings, or with other data
echo 'cat sat on the mat' >other.txt
for flags in '--lr 0.5' '--seed 2' '--beta2 0.5' '--clip-norm 3' '--mtp-weight 0.1' '--data other.txt' '--schedule cosine'; do
  # shellcheck disable=SC2086
  status 2 short --out roomy --steps 9 $flags
  says err "resume: ${flags%% *} is"
done
if grep -q 'precision = "bf16"' roomy/checkpoints/*/run.toml; then  # what auto is with AMX
  status 2 short --out roomy --steps 9 --precision f32
  says err 'resume: --precision is'
fi
status 2 short --out roomy --steps 7
says err 'at step 8 already'
status 2 short --out roomy --steps 9 --resume never
says err 'roomy/checkpoints/step-00000008'
cp text.txt kept.txt; tac kept.txt >text.txt
status 2 short --out roomy --steps 9
says err 'the data changed: content'
mv kept.txt text.txt

# --- other tokens than those of the weights
status 2 short --init roomy --out no --tokenizer bytes
says err 'is not the tokenizer of --init roomy'
echo 'ZEBRA ÄÖ' >foreign.txt
status 1 short --init roomy --out no --data foreign.txt
says err 'the vocabulary has no token'

# --- Ctrl-C: the state is saved, the status is 130, and the end is that of a run never stopped
set -m
until_saved() { until ls "$1"/checkpoints/step-* >/dev/null 2>&1; do sleep 0.05; kill -0 "$2" || die "$1 ended early"; done; }
(train --out stopped --steps 150) 2>err >out &
program=$!
until_saved stopped $program
status=0; kill -INT $program; wait $program || status=$?
same "$status" 130
says err 'stopped at step'
(train --out stopped --steps 150) 2>err >out || die "$(tail -n 3 err)"
says err 'continuing at step'
same_run stopped whole step-00000150

# --- two runs on one folder
(train --out busy --steps 100000) >busy.log 2>&1 &
program=$!
until_saved busy $program
status 1 short --out busy
says err "in use by process $program"
kill -TERM $program; status=0; wait $program || status=$?
same "$status" 143
set +m

# --- plain text teaches to continue texts, conversations teach to answer
silent roomy/checkpoints/step-00000008/tokenizer_config.json chat_template
status 0 "$fathom" run roomy 'cat number' --temp 0 -n 5
status 3 "$fathom" chat roomy
for i in $(seq 40); do echo "{\"prompt\": \"cat number $i\", \"answer\": \"sat on $i birds\"}"; done >talks.jsonl
status 0 "$fathom" sft --init roomy --data talks.jsonl --out talks --steps 2 --batch-rows 4 --threads 1
says talks/checkpoints/step-00000002/tokenizer_config.json chat_template
