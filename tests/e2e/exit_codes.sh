# Exit statuses, and what is said beside them: 0, 1 (runtime), 2 (usage), 3 (model), 4 (memory).
fathom=$1; . "$(dirname "$0")/common.bash"
sums_model sums

status 0 "$fathom"
says out 'fathom COMMAND --help'
status 0 "$fathom" --version
says out 'fathom 0.'
status 0 "$fathom" --help
mv out commands
for command in run chat score init inspect plan template tokenizer bench kernels; do
  says commands "  $command"
  status 0 "$fathom" "$command" --help
  says out 'Examples:'
done

status 2 "$fathom" rnu
says err "unknown command 'rnu'"
status 2 "$fathom" run sums 1 --temprature 0
says err 'unknown flag --temprature; did you mean --temperature'
status 2 "$fathom" run sums 1 --thinq
says err '--think'
status 2 "$fathom" run
status 2 "$fathom" run sums 1 2
says err "unexpected argument '2'; run takes folder and prompt"
status 2 "$fathom" run sums 1 --seed many
says err "--seed is 'many'; expected a whole number"
status 2 "$fathom" run sums 1 -s 1 -s 2
says err "-s is given 2 times ('1', '2'); expected once"
status 2 "$fathom" run sums 1 --seed -2
status 2 "$fathom" run sums 1 --temperature -1
says err '--temperature is -1; expected 0 or more'
status 2 "$fathom" run sums 1 --top-p 1.5
says err '--top-p is 1.5; expected between 0 and 1'
status 2 "$fathom" run sums 1 -n 0
says err '-n is 0; expected 1 or more, or -1'
status 2 "$fathom" chat sums --max-tokens 0
says err '--max-tokens is 0; expected 1 or more, or -1'
FATHOM_PREDICT=0 status 2 "$fathom" run sums 1
says err 'FATHOM_PREDICT is 0; expected 1 or more, or -1'
status 2 "$fathom" run sums 1 -n 1000
says err '-n is 1000 and the prompt has 4 tokens; the context holds 256. Ask for at most 252'
status 2 "$fathom" run sums 1 -c 100000
says err '-c is 100000; expected 1 to 256'
status 2 "$fathom" run sums 1 --threads -1
status 2 "$fathom" run sums 1 --isa sse9
status 2 "$fathom" run sums 1 --precision int3
status 2 "$fathom" run sums 1 --memory-mb 99999999999999
status 2 "$fathom" demo --yes --out no --precision bf16
says err 'needs f32'
status 2 "$fathom" run sums 1 --output xml
status 2 "$fathom" run sums
says err 'there is no prompt'
status 2 "$fathom" score sums
status 2 "$fathom" bench no-such-op
says err no-such-op
status 2 "$fathom" bench --model no-such-preset
status 2 "$fathom" tokenizer recode sums 1

status 2 "$fathom" tokenizer decode sums '3 22 4'
says err 'ids[1] is 22; the vocabulary has 22 tokens, 0 to 21'

status 3 "$fathom" run nowhere 1
says err 'no such folder: nowhere'
status 3 "$fathom" tokenizer encode nowhere 1
status 3 "$fathom" chat nowhere
status 4 "$fathom" run sums 1 --memory-mb 1
says err 'at most 1.0 MB in all, by --memory-mb. Raise it'
cp -r sums hot
sed -i -E 's/"temperature": *1.0/"temperature": -1.0/' hot/generation_config.json
status 3 "$fathom" run hot 1
says err 'hot/generation_config.json: temperature is -1; expected 0 or more'
status 0 "$fathom" run hot 1 --temp 1 -n 4

# Files with data that are missing are a failure, from every command.
for command in 'run sums -f no.txt' 'run sums --ids no.json' 'score sums -f no.txt' 'score sums -f no.jsonl' 'score sums --ids no.json' \
  'template sums --messages no.json' 'tokenizer encode sums -f no.txt' 'tokenizer compare sums sums no.txt' \
  'tokenizer train no.txt --out no' 'train --data no.txt --out no' 'train no.toml' 'grpo no.toml'; do
  # shellcheck disable=SC2086
  status 1 "$fathom" $command
  says err 'no.'
done

# Nothing but one message, and no trace of the code behind it.
status 3 "$fathom" score nowhere 1
same "$(grep -c 'fathom: error: ' err)" 1
silent err 'terminate'

# Flags from the environment; the command line wins.
FATHOM_SEED=7 FATHOM_OUTPUT=json status 0 "$fathom" run sums '1+1=?' -n 4
same "$(field seed out)" 7
FATHOM_SEED=7 FATHOM_OUTPUT=json status 0 "$fathom" run sums '1+1=?' -n 4 --seed 8
same "$(field seed out)" 8
FATHOM_SEED=seven status 2 "$fathom" run sums '1+1=?' -n 4

# A reader that leaves is told by the status alone; a full disk is an error.
got=0
(listed=0; sleep 0.2; "$fathom" init --list 2>err || listed=$?; echo "$listed" >status) | true
same "$(cat status)" 141
same "$(cat err)" ''
if [ -w /dev/full ]; then
  "$fathom" init --list >/dev/full 2>err || got=$?
  same "$got" 1
  says err 'cannot write standard output'
fi

# Standard output that nobody opened: nothing arrives, and the status says so.
sums_model closed_output
for command in "inspect closed_output" "inspect closed_output --json" "init --list" "kernels"; do
  got=0; "$fathom" $command >&- 2>err || got=$?
  [ "$got" -eq 141 ] || die "$command with a closed output ended with $got"
done
