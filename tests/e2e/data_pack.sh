# Texts to packed text, a run on it, and what becomes of bad lines and changed files.
fathom=$1; . "$(dirname "$0")/common.bash"

status 0 "$fathom" data synth --bits-per-byte 1 --bytes 300000 --seed 3 --out known.txt --json
awk -v bits="$(field bits_per_byte out)" 'BEGIN { exit !(bits > 0.999999 && bits < 1.000001) }' || die "not a bit a byte"
same "$(field bytes out)" 300000
same "$(wc -c <known.txt)" 300000
status 2 "$fathom" data synth --bits-per-byte 7 --bytes 10 --out not.txt
[ ! -e not.txt ] || die 'a refused text was written'

# A tokenizer that has all characters of the texts.
status 0 "$fathom" init --preset llm-nano --tokenizer bytes --out bytes
mkdir -p corpus/below
cp known.txt corpus/known.txt
gzip -c known.txt >corpus/below/again.txt.gz
printf '{"text":"one"}\n{"text":1}\nnothing\n{"text":"two"}\n' >corpus/lines.jsonl
status 0 "$fathom" data pack --tokenizer bytes --out packed --json corpus
same "$(field documents out)" 4
same "$(field bad_documents out)" 2
says err 'lines.jsonl:2'
says err 'lines.jsonl:3'
status 0 "$fathom" data check packed
says out 'every byte as it was written'
status 1 "$fathom" data pack --tokenizer bytes --out few --max-bad-lines 1 corpus
says err '--max-bad-lines'
[ ! -e few ] || die 'a refused folder was left'
status 2 "$fathom" data pack --tokenizer bytes --out packed corpus
says err 'already'

# A run that is stopped and goes on is the run that was never stopped.
run() {
  status "$1" "$fathom" train --preset llm-nano --data packed --steps "$3" --batch-rows 8 --row-tokens 64 --seed 5 \
    --schedule constant --warmup-steps 0 --eval-every 20 --save-every 10 --log-every 1 --out "$2" --json
}
run 0 whole 40
first=$(sed -nE 's/.*"event":"step".*"loss":([0-9.]+).*/\1/p' out | head -n 1)
last=$(field val_loss out)
awk -v a="$first" -v b="$last" 'BEGIN { exit !(b < a - 1) }' || die "the loss went from $first to $last"
run 0 parts 10
run 0 parts 40
same "$(sha256sum <whole/checkpoints/step-00000040/model.safetensors)" \
  "$(sha256sum <parts/checkpoints/step-00000040/model.safetensors)"

# Memory does not grow with the data: 200 times the text takes room for the held-out rows and no more.
peak() {
  status 0 "$fathom" train --preset llm-nano --data "$1" --steps 20 --batch-rows 8 --eval-every 0 --save-every 0 \
    --out "run-$1" --json
  field peak_rss_mb out
}
copies=$(for _ in $(seq 200); do echo known.txt; done)
# shellcheck disable=SC2086
status 0 "$fathom" data pack --tokenizer bytes --out large $copies
status 0 "$fathom" data pack --tokenizer bytes --out small known.txt
[ "$(cat large/shard-* | wc -c)" -gt 100000000 ] || die 'not large'
small=$(peak small) large=$(peak large)
awk -v a="$small" -v b="$large" 'BEGIN { exit !(b < a + 40) }' || die "$small MB became $large MB"

# Another tokenizer, and files that changed.
status 0 "$fathom" init --preset llm-nano --tokenizer characters:abc --out abc
status 2 "$fathom" train --preset llm-nano --data packed --tokenizer abc --steps 1 --out other
says err 'another tokenizer'
status 2 "$fathom" train --preset llm-nano --data packed --data corpus --steps 1 --out other
says err 'no packed text'
shard=$(ls packed/shard-*)
printf 'x' | dd of="$shard" bs=1 seek=200000 conv=notrunc 2>/dev/null
status 1 "$fathom" data check packed
says err "$(basename "$shard")"
truncate -s -8 "$shard"
status 1 "$fathom" train --preset llm-nano --data packed --steps 1 --out other
says err 'bytes; packed.json says'
