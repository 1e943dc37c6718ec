# A folder of random weights, and everything that looks at it: init, inspect, run, score, tokenizer, template.
fathom=$1; . "$(dirname "$0")/common.bash"

status 0 "$fathom" init --list
says out v3-nano
status 0 "$fathom" init --preset v3-nano --tokenizer 'characters:0123456789+-=? ' --seed 1 --out sums
for file in config.json model.safetensors tokenizer.json tokenizer_config.json generation_config.json README.md; do
  [ -s "sums/$file" ] || die "init wrote no $file"
done

# The same seed gives the same weights, another one others; a folder is not overwritten unasked.
sums_model again 1
cmp -s sums/model.safetensors again/model.safetensors || die "the same seed gave other weights"
sums_model other 2
! cmp -s sums/model.safetensors other/model.safetensors || die "another seed gave the same weights"
status 2 "$fathom" init --preset v3-nano --out sums
says err 'sums is there already'
status 0 "$fathom" init --preset v3-nano --out sums2 --seed 1 --dtype bf16
[ "$(stat -c %s sums2/model.safetensors)" -lt "$(stat -c %s sums/model.safetensors)" ] || die "bf16 takes no less room"
status 2 "$fathom" init --preset v3-nano --out x --dtype int4
status 2 "$fathom" init --preset v4-nano --out x
says err "did you mean v3-nano"
status 2 "$fathom" init --out x
[ ! -e x ] || die "a refused init left a folder"
# From the config.json of a folder; its vocabulary stays.
status 0 "$fathom" init --config sums/config.json --tokenizer sums --out copy --seed 1
cmp -s sums/model.safetensors copy/model.safetensors || die "the same shape and seed gave other weights"

# A disk that is full: one error, and neither a folder nor the beginning of one; what was there stays.
mkdir room
status 1 bash -c 'ulimit -f 1000; exec "$@"' - "$fathom" init --preset v3-nano --out room/new
same "$(ls -A room)" ''
mkdir small
if mount -t tmpfs -o size=2m none small 2>/dev/null; then
  trap 'umount small' EXIT
  status 1 "$fathom" init --preset v3-nano --out small/new
  says err 'disk: small/new would take 4.2 MB; expected at most the 2.1 MB'
  same "$(ls -A small)" ''
  mkdir small/old; echo mine >small/old/README.md
  status 1 "$fathom" init --preset v3-nano --out small/old --force
  same "$(ls -A small)" old
  same "$(cat small/old/README.md)" mine
  umount small
  trap - EXIT
fi

# FP8 as published: codes and scales, read where they lie by models of some size.
status 0 "$fathom" init --preset small --tokenizer bytes --seed 1 --dtype fp8 --out eighths
status 0 "$fathom" inspect eighths
says out F8_E4M3
echo 'the same words' >words.txt
status 0 "$fathom" score eighths --file words.txt
# --force replaces a model, and no file of another kind.
mkdir keep; echo mine >keep/notes
status 2 "$fathom" init --preset llm-nano --out keep --force
says err keep/notes
same "$(cat keep/notes)" mine
# Sizes are refused before anything is built for them.
sed 's/"num_hidden_layers": [0-9]*/"num_hidden_layers": 1000000000000/' sums/config.json >huge.json
status 3 "$fathom" init --config huge.json --out x
says err num_hidden_layers
# A model's tokenizer is not written over, and a run does not hide behind a model.
status 2 "$fathom" tokenizer train messages.json --out sums
says err sums/tokenizer.json
echo 1+2=3 >sums.txt
status 2 "$fathom" train --preset llm-nano --data sums.txt --out sums --steps 1
says err 'holds a model already'

status 0 "$fathom" inspect sums
for text in deepseek_v3 'mla attention' '8 routed (2 chosen) + 1 shared' multi-token 'bytes a token' 'characters, 22 tokens'; do
  says out "$text"
done
for text in 'bos <｜begin▁of▁sentence｜> (1), not put before texts' 'split as none' tokenizer_config.json \
  'system text yes, tools no, thinking: on or off' F32; do
  says out "$text"
done
status 0 "$fathom" inspect sums --tensors
says out model.layers.2.mlp.experts.7.down_proj.weight
status 0 "$fathom" inspect sums --json
same "$(field model_type out)" '"deepseek_v3"'
same "$(field cache_bytes_per_token_bf16 out)" 240
same "$(field cache_bytes_per_token_f32 out)" 480
same "$(grep -o '"name":"model.layers.1.mlp.gate.weight","dtype":"F32","shape":\[8,128\]' out | wc -l)" 1
same "$(field split out)" '"none"'
same "$(field thinking out)" '"on or off"'
says out '"dtypes":{"F32":{"tensors":135,"elements":923480,"bytes":3693920}}'
# Without a template, the tokens show the family; a template that cannot be used hides nothing else.
"$fathom" init --preset v3-nano --tokenizer bytes --out plain >/dev/null
sed -i -E 's/"chat_template": *"([^"\\]|\\.)*"/"chat_template": null/' plain/tokenizer_config.json
status 0 "$fathom" inspect plain
says out 'it continues texts'
sed -i 's/<｜▁pad▁｜>/<｜tool▁calls▁begin｜>/' plain/tokenizer.json plain/tokenizer_config.json
status 0 "$fathom" inspect plain
says out 'built-in r1, because of the tokens <｜User｜>, <think> and <｜tool▁calls▁begin｜>'
says out 'thinking: always'
printf '{%% if %%}' >plain/chat_template.jinja
status 0 "$fathom" inspect plain
says out 'cannot be used: plain/chat_template.jinja'
says out 'weights'
printf '{%% for i in range(99999) %%}{%% for j in range(99999) %%}x{%% endfor %%}{%% endfor %%}' >plain/chat_template.jinja
status 0 timeout 20 "$fathom" inspect plain --json
says out '"template":{"error":"plain/chat_template.jinja'
# A shape alone: a published preset, or a config.json.
status 0 "$fathom" inspect v3
for text in deepseek_v3 '671,026,419,200 in all' '37,552,297,472 active' '11,610,068,224' '70,272 bytes a token in bf16' 'yarn by 40 from 4096'; do
  says out "$text"
done
status 0 "$fathom" inspect sums/config.json --json
total=$(field total out)
status 0 "$fathom" inspect sums --json
same "$total" "$(field total out)"
status 3 "$fathom" inspect v33
status 0 "$fathom" inspect sums/model.safetensors
says out lm_head.weight

status 0 "$fathom" tokenizer encode sums '12+3'
same "$(cat out)" '11 12 8 13'
printf '12\n3' >text
status 2 "$fathom" tokenizer encode sums --file text
says err 'U+000A'
printf 12+3 | "$fathom" tokenizer encode sums --no-bos --output json >out
same "$(cat out)" '{"ids":[11,12,8,13]}'
status 0 "$fathom" tokenizer decode sums '11 12 8 13'
same "$(cat out)" '12+3'
status 0 "$fathom" tokenizer decode sums '[1,11,2]' --skip-special --output json
same "$(cat out)" '{"text":"1"}'
status 0 "$fathom" init --preset llm-nano --tokenizer bytes --out bytes
printf 'a\0\xc3\xa9\r\n' >text
"$fathom" tokenizer encode bytes --output json <text >ids
"$fathom" tokenizer decode bytes --output text <ids >back
cmp -s text back || die "bytes do not survive encode and decode"

echo '[{"role": "system", "content": "12"}, {"role": "user", "content": "1+1=?"}]' >messages.json
status 0 "$fathom" template sums --messages messages.json
says out '<｜begin▁of▁sentence｜>12<｜User｜>1+1=?<｜Assistant｜>'
says out '1 11 12 3 11 8 11 20 21 4'
status 0 "$fathom" template sums --messages messages.json --think --output json
same "$(field ids out)" '[1,11,12,3,11,8,11,20,21,4,5]'
echo '{"messages": [{"role": "user", "content": "1"}, {"role": "robot", "content": "2"}]}' >messages.json
status 2 "$fathom" template sums --messages messages.json
says err "messages[1].role is 'robot'"
