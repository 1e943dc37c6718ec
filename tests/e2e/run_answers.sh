# fathom run: determinism, the shape of its output, prompts from everywhere, characters it cannot read.
fathom=$1; . "$(dirname "$0")/common.bash"
sums_model sums

run() { status 0 "$fathom" run sums "$@"; }
text_of() { run "$@"; cat out; }

# The same seed gives the same text, whatever the threads; another one another.
first=$(text_of '12+34=?' --seed 5 -n 40)
same "$first" "$(text_of '12+34=?' --seed 5 -n 40)"
same "$first" "$(text_of '12+34=?' --seed 5 -n 40 --threads 1)"
differ "$first" "$(text_of '12+34=?' --seed 6 -n 40)"
same "$(text_of '1+1=?' --temp 0 -n 20 --seed 1)" "$(text_of '1+1=?' --temp 0 -n 20 --seed 2)"
same "$(text_of '1+1=?' --temp 0 -n 20)" "$(text_of '1+1=?' --top-k 1 --max-new-tokens 20)"
same "$(text_of '1+1=?' -p '2' --seed 1 --no-template -n 5 2>/dev/null || true)" ''  # two texts need a line end, which is unknown
status 2 "$fathom" run sums '1+1=?' -p 2
says err U+000A

# JSON: ids, text, usage and timings agree.
run '12+34=?' --seed 5 -n 40 --ignore-eos --output json
ids=$(field ids out)
same "$(tr ',' '\n' <<<"$ids" | wc -l)" 40
same "$(field object out)" '"chat.completion"'
same "$(field finish_reason out)" '"length"'
same "$(field completion_tokens out)" 40
same "$(field predicted_n out)" 40
same "$(field prompt_n out)" 10
same "$(field prompt_tokens out)" 10
same "$(field seed out)" 5
says out '"timings":{"prompt_n":10,"cache_n":0,"prompt_ms":'
run '12+34=?' --seed 5 -n 40 --ignore-eos --output jsonl
same "$(tail -n 1 out | grep -o '"ids":\[[0-9,]*\]')" "\"ids\":$ids"
pieces=$(head -n -1 out | sed -E 's/.*"ids":\[([0-9,]*)\].*/\1/' | paste -sd, -)
[[ "$ids" == "[$pieces"* ]] || die "the pieces $pieces are not how $ids begins"

# Prompts from an argument, a flag, a file and a pipe.
expected=$(text_of '1+2=?' --seed 1 -n 10)
same "$expected" "$(text_of -p '1+2=?' --seed 1 -n 10)"
echo '1+2=?' >prompt
same "$expected" "$(text_of -f prompt --seed 1 -n 10)"
same "$expected" "$("$fathom" run sums --seed 1 -n 10 <prompt)"
same "$expected" "$(cat prompt | "$fathom" run sums --seed 1 -n 10)"
same "$expected" "$("$fathom" run sums -f - --seed 1 -n 10 <prompt)"

# Token ids in and out; no text on the way.
run '1+2=?' --temp 0 -n 8 --ignore-eos --output json
ids=$(field ids out)
echo '{"ids": [1,3,11,8,12,20,21,4]}' >ids.json
run --ids ids.json --temp 0 -n 8 --ignore-eos --output json
same "$(field ids out)" "$ids"
same "$(field object out)" '"text_completion"'
echo '[1,3,11,8,12,20,21,4]' >ids.json
run --ids ids.json --temp 0 -n 8 --ignore-eos --dtype f32 --output json
same "$(field ids out)" "$ids"
echo '{"ids": [1, 99]}' >ids.json
status 2 "$fathom" run sums --ids ids.json
says err 'ids.json: ids[1] is 99; expected a token id of this model, 0 to 21'
echo '{"ids": []}' >ids.json
status 2 "$fathom" run sums --ids ids.json
status 2 "$fathom" run sums 1 --ids ids.json
status 1 "$fathom" run sums --ids nowhere.json

# Characters that the model cannot read are named, every one, and nothing is answered.
status 2 "$fathom" run sums 'what is 1 + é?'
for name in "'w'" "'h'" "'a'" "'t'" "'i'" "'s'" "'é'"; do says err "$name"; done
silent err "'+'"
same "$(cat out)" ''
status 2 "$fathom" run sums 1 --system 'be kind'
says err "'k'"
status 2 "$fathom" run sums "$(printf '1\xff')"
says err UTF-8

# Thinking stays off standard output unless there is a terminal.
run '1+2=?' --think --seed 3 -n 12 --show-thinking
says err 'Thinking'
run '1+2=?' --think --seed 3 -n 12 --output json
says out reasoning_content

# What the model writes never drives the terminal: a model that knows nothing but escapes.
"$fathom" init --preset llm-nano --tokenizer "characters:$(printf '\033\007\177')" --out escapes >/dev/null
status 0 "$fathom" run escapes --no-template "$(printf '\033')" --seed 1 -n 40
! LC_ALL=C grep -q "[$(printf '\033\007\177')]" out || die "control characters reach the terminal"
grep -q '[␛␇␡]' out || die "control characters are not shown"

# The spellings of other programs; what only says how those run is taken with a note.
answer=$("$fathom" run sums '1+2=?' --seed 4 -n 12 --system 1+1 </dev/null)
status 0 "$fathom" run -n 12 -p '1+2=?' -sys 1+1 -s 4 -m sums
same "$(cat out)" "$answer"
status 0 "$fathom" run '1+2=?' --model=sums --num-predict 12 --seed 4 -sys=1+1 -ngl 99 -fa on --mlock --jinja -ub 512
same "$(cat out)" "$answer"
says err 'fathom: -ngl has no effect here: everything is computed on the processor'
says err 'fathom: -fa has no effect here'
LLAMA_ARG_N_PREDICT=12 status 0 "$fathom" run sums '1+2=?' --seed 4 --system 1+1
same "$(cat out)" "$answer"
LLAMA_ARG_N_PREDICT=3 FATHOM_PREDICT=12 status 0 "$fathom" run sums '1+2=?' --seed 4 --system 1+1
same "$(cat out)" "$answer"
status 2 "$fathom" run
says err 'the argument folder is missing'

# Prompts that begin with a dash.
minus=$("$fathom" run sums --prompt=-5 --seed 4 -n 6 --no-template </dev/null)
same "$("$fathom" run sums --seed 4 -n 6 --raw -- -5 </dev/null)" "$minus"
same "$("$fathom" run sums --seed 4 -n 6 -no-cnv -p -5 </dev/null)" "$minus"

# Thinking, by either name.
thought=$("$fathom" run sums 1+2=? --think --seed 4 -n 12 --output json </dev/null)
same "$(echo "$thought" | grep -o '"ids":\[[0-9,]*\]')" \
  "$("$fathom" run sums 1+2=? --reasoning on --seed 4 -n 12 --output json </dev/null | grep -o '"ids":\[[0-9,]*\]')"
status 0 "$fathom" run sums 1+2=? --reasoning-budget 0 -n 4
for flags in '--reasoning maybe' '--reasoning-budget 5' '--think --reasoning off' '--think --no-think'; do
  # shellcheck disable=SC2086
  status 2 "$fathom" run sums 1 $flags
done

# Progress of loading, on standard error alone.
status 0 "$fathom" run sums 1+2=? -n 4 --progress always
says err 'loading sums: 100 % of'
silent out loading
status 0 "$fathom" score sums 1+2=3 --progress json
says err '"event":"loading"'
status 0 "$fathom" run sums 1+2=? -n 4 --progress never
same "$(cat err)" ''
status 2 "$fathom" run sums 1 --progress loud

# Flags in a file: those that are given go before, and so does the environment.
printf 'predict = 12\nseed = 4\nsystem = "1+1"\nno_template = false\n' >flags.toml
status 0 "$fathom" run sums '1+2=?' --config flags.toml
same "$(cat out)" "$answer"
shorter=$("$fathom" run sums '1+2=?' --seed 4 -n 3 --system 1+1 </dev/null)
status 0 "$fathom" run sums '1+2=?' --config=flags.toml -n 3
same "$(cat out)" "$shorter"
FATHOM_PREDICT=3 FATHOM_CONFIG=flags.toml status 0 "$fathom" run sums '1+2=?'
same "$(cat out)" "$shorter"
printf 'sed = 4\n' >wrong.toml
status 2 "$fathom" run sums '1+2=?' --config wrong.toml
says err "wrong.toml: 'sed' is no flag of this command; did you mean --seed"
printf 'seed = \n' >wrong.toml
status 2 "$fathom" run sums '1+2=?' --config wrong.toml
says err 'wrong.toml:1'
status 1 "$fathom" run sums '1+2=?' --config nowhere.toml
