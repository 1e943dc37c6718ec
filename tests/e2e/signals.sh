# Ctrl-C and SIGTERM: the answer ends, what was written stays, the status is 130 or 143.
fathom=$1; . "$(dirname "$0")/common.bash"
"$fathom" init --preset small --out small --seed 1 >/dev/null

# stopped SIGNAL STATUS: sends it once text has come.
stopped() {
  local got=0 tries=0
  "$fathom" run small --no-template abc --ignore-eos --seed 1 --temp 2 </dev/null >out 2>err &
  local program=$!
  until [ -s out ]; do
    sleep 0.02
    tries=$((tries + 1))
    [ "$tries" -lt 1500 ] || die "no text came"
    kill -0 "$program" 2>/dev/null || break
  done
  kill "-$1" "$program" || die "the answer was over before the signal came"
  wait "$program" || got=$?
  same "$got" "$2"
  same "$(cat err)" ''
  same "$(tail -c 1 out | od -An -c | tr -d ' ')" '\n'
}
# A background job of a script ignores SIGINT unless job control is on.
set -m
stopped INT 130
stopped TERM 143

# A score that was cut short is no score.
seq 1 200000 >numbers.txt
"$fathom" score small -f numbers.txt >out 2>err &
program=$!
sleep 1
kill -INT "$program"
got=0; wait "$program" || got=$?
same "$got" 130
same "$(cat out)" ''
says err 'tokens of numbers.txt; it has no result'

# Nobody reads any more: quietly over, as the shell knows it, and what takes long can be taken up again.
# left COMMAND...: its status, its reader gone after the first line.
left() { { "$@" 2>err || echo "$?" >status; } | head -n 1 >first; cat status; }
same "$(left timeout 60 "$fathom" run small --no-template abc --ignore-eos -n 400 --output jsonl)" 141
same "$(cat err)" ''
same "$(left timeout 60 "$fathom" train --preset llm-nano --data numbers.txt --steps 100000 --log-every 1 --json --out left)" 141
same "$(cat err)" ''
[ -d left/checkpoints ] || die 'the run that stopped saved nothing'
