# fathom chat through a pipe: answers on standard output, everything else on standard error.
fathom=$1; . "$(dirname "$0")/common.bash"
sums_model sums

talk() { printf "$1" >script; shift; local got=0; "$fathom" chat sums "$@" <script >out 2>err || got=$?; same "$got" 0; }

# One answer a question, each what run gives; the end of the input ends the conversation.
talk '1+2=?\n' --seed 4 -n 12
same "$(cat out)" "$("$fathom" run sums '1+2=?' --seed 4 -n 12 </dev/null)"
same "$(grep -c . err || true)" "$(grep -c 'cut off' err || true)"
talk '1+2=?' --seed 4 -n 12
same "$(cat out)" "$("$fathom" run sums '1+2=?' --seed 4 -n 12 </dev/null)"
talk ''
same "$(cat out)$(cat err)" ''

# Earlier turns are part of the question, unless each is asked on its own.
talk '1+2=?\n3+4=?\n/stats\n' --temp 0 -n 6
with_history=$(tail -n 1 out)
remembered=$(sed -nE 's/ *prompt +([0-9]+) tokens.*/\1/p' err)
talk '1+2=?\n3+4=?\n/stats\n' --temp 0 -n 6 --alone
alone=$(sed -nE 's/ *prompt +([0-9]+) tokens.*/\1/p' err)
[ "$remembered" -gt "$alone" ] || die "the second question has $remembered tokens with history and $alone without"
talk '1+2=?\n/clear\n3+4=?\n/stats\n' --temp 0 -n 6
same "$(sed -nE 's/ *prompt +([0-9]+) tokens.*/\1/p' err)" "$alone"

# Commands.
talk '/help\n/show info\n/show parameters\n/stats\n/undo\n/regen\n/nonsense\n/bye\n1+1=?\n'
same "$(cat out)" ''
for text in '/regen' 'deepseek_v3' 'temperature 1' 'No answer yet' 'nothing to take back' 'no question yet' 'unknown command /nonsense'; do
  says err "$text"
done
talk '/set parameter temperature 0\n/set parameter max_tokens 3\n/set parameter warmth 1\n/set parameter top_p 7\n/show parameters\n'
says err 'temperature 0  top_k 0  top_p 1  min_p 0'
says err 'max_tokens 3'
says err "unknown parameter 'warmth'"
says err 'top_p is 7'
talk '1+2=?\n/regen\n/undo\n/undo\n' --temp 0 -n 6
same "$(sed -n 1p out)" "$(sed -n 2p out)"
says err 'nothing to take back'

# More of them: files, the template, speed after each answer.
printf '1+2=?\n' >question
talk '/read question\n/save said.json\n/show template\n/show license\n/ctx\n/set verbose\n/regen\n/read nowhere\n/load nowhere\n/image a\n' --temp 0 -n 6
same "$(sed -n 1p out)" "$(sed -n 2p out)"
for text in 'Saved said.json' 'for message in messages' 'holds no LICENSE' ' of 256 tokens' 'tokens/s' 'opening nowhere' \
  'no such folder: nowhere' 'reads text alone'; do
  says err "$text"
done
same "$("$fathom" template sums --messages said.json --no-generation-prompt </dev/null | head -n 1)" \
  "<｜begin▁of▁sentence｜><｜User｜>1+2=?<｜Assistant｜>$(sed -n 1p out)<｜end▁of▁sentence｜>"
"$fathom" init --preset v3-nano --tokenizer 'characters:0123456789+-=? ' --seed 2 --out others >/dev/null
talk '1+2=?\n/load others\n1+2=?\n' --temp 0 -n 6
same "$(sed -n 2p out)" "$("$fathom" run others '1+2=?' --temp 0 -n 6 </dev/null)"

# What a model wrote goes into the next question as the ids that it chose, be they text or not.
"$fathom" init --preset llm-nano --tokenizer bytes --out bytes >/dev/null
printf 'ab\nab\n' | "$fathom" chat bytes --seed 1 -n 40 --output json >out 2>err
of() { sed -n "$1p" out | sed -nE "s/.*\"$2\":([0-9]+).*/\1/p"; }
same "$(of 2 prompt_tokens)" "$(($(of 1 prompt_tokens) + $(of 1 completion_tokens) + 5))"

# Characters that the model cannot read are named; the conversation goes on.
talk 'hi\n1+2=?\n' --seed 4 -n 12
says err "'h'"
same "$(cat out)" "$("$fathom" run sums '1+2=?' --seed 4 -n 12 </dev/null)"

# A full context says so and leaves the conversation as it was.
talk '1+2=?\n%s\n/stats\n' --temp 0 -n 6
long=$(printf '1%.0s' $(seq 300))
talk "1+2=?\n$long\n/stats\n" --temp 0 -n 6
says err 'the context holds 256'
says err '/clear begins anew'

# JSON: an object for each question, with what run gives; jsonl has the pieces too.
talk '1+2=?\nhi\n3+4=?\n' --seed 4 -n 12 --alone --output json
same "$(wc -l <out)" 3
same "$(sed -n 1p out | grep -o '"object":"chat.completion"')" '"object":"chat.completion"'
sed -n 2p out >refused
says refused '{"error":{"message":"'
says refused "'h'"
same "$(sed -n 1p out | grep -o '"ids":\[[0-9,]*\]')" \
  "$("$fathom" run sums '1+2=?' --seed 4 -n 12 --output json </dev/null | grep -o '"ids":\[[0-9,]*\]')"
same "$(sed -n 3p out | grep -o '"ids":\[[0-9,]*\]')" \
  "$("$fathom" run sums '3+4=?' --seed 5 -n 12 --output json </dev/null | grep -o '"ids":\[[0-9,]*\]')"
talk '1+2=?\n3+4=?\n' --seed 4 -n 12 --output jsonl
same "$(grep -c '"object":"chat.completion",' out)" 2
[ "$(grep -c '"object":"chat.completion.chunk"' out)" -ge 4 ] || die "few pieces: $(cat out)"
talk '1+2=?\n/stats\n' --temp 0 -n 6 --output json
same "$(wc -l <out)" 1
status 2 "$fathom" chat sums --output xml
says err "--output is 'xml'; expected text, json or jsonl"

# A model without a chat template is told from one that talks.
cp -r sums plain
sed -i -E 's/"chat_template": *"[^"]*(\\.[^"]*)*",?//' plain/tokenizer_config.json
sed -i -E ':a;N;$!ba;s/,([[:space:]]*\})/\1/g' plain/tokenizer_config.json
status 3 "$fathom" chat plain
says err 'has no chat template'
