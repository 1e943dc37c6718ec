# fathom score: log-probabilities, perplexity and bits per byte; logits as a file.
fathom=$1; . "$(dirname "$0")/common.bash"
sums_model sums

score() { status 0 "$fathom" score sums "$@"; }

score '12+34=46' --json
same "$(field tokens out)" 7
same "$(field bytes out)" 7
same "$(field ids out)" '[11,12,8,13,14,20,14,16]'
same "$(grep -o '"logprobs":\[null\(,-[0-9.]*\)\{7\}\]' out | wc -l)" 1
# perplexity = exp(nll / tokens), bits per byte = nll / ln 2 / bytes
awk -v nll="$(field nll out)" -v ppl="$(field perplexity out)" -v bits="$(field bits_per_byte out)" 'BEGIN {
  a = exp(nll / 7) - ppl; b = nll / log(2) / 7 - bits
  exit !(a < 1e-6 && a > -1e-6 && b < 1e-9 && b > -1e-9)
}' || die "perplexity and bits per byte do not follow from the log-probabilities: $(cat out)"
nll=$(field nll out)

# From files and pipes, several at once, and as ids.
printf '12+34=46' >a.txt
printf '{"text": "12+34=46"}\n{"text": "1+1=2"}\n' >b.jsonl
score -f a.txt --json
same "$(field nll out)" "$nll"
"$fathom" score sums --json <a.txt >out
same "$(field nll out)" "$nll"
score -f b.jsonl
same "$(grep -c 'tokens, mean' out)" 3
says out 'all: 11 tokens'
echo '{"ids": [11,12,8,13,14,20,14,16]}' >ids.json
score --ids ids.json --json
same "$(field nll out)" "$nll"
score '12+34=46' --tokens
same "$(grep -c '"' out)" 8

# Longer than the context: in windows, each token but the first once.
long=$(printf '1+%.0s' $(seq 300))
score "$long" --json
same "$(field tokens out)" 599
score "$long" --json -c 16
same "$(field tokens out)" 599

# Logits, of all positions and of some.
score --ids ids.json --dtype f32 --logits all.safetensors
status 0 "$fathom" inspect all.safetensors
says out '[8, 22] logits'
says out '[7, 22] mtp_logits'
score --ids ids.json --logits some.safetensors --positions 2:5
status 0 "$fathom" inspect some.safetensors --json
same "$(grep -o '"shape":\[3,22\]' out | wc -l)" 2
score --ids ids.json --logits last.safetensors --positions 7:8
status 0 "$fathom" inspect last.safetensors --json
same "$(field tensor_count out)" 1
status 2 "$fathom" score sums --ids ids.json --logits x.safetensors --positions 5:9
status 2 "$fathom" score sums --ids ids.json --positions 0:4
[ ! -e x.safetensors ] || die "a refused score left a file"

echo '[1, 2, 22]' >foreign.json
status 2 "$fathom" score sums --ids foreign.json
says err 'foreign.json: ids[2] is 22; expected a token id of this model, 0 to 21'

status 2 "$fathom" score sums 'abc'
says err "'a'"
status 2 "$fathom" score sums 1
says err 'at least 2'
status 2 "$fathom" score sums 12 --ids ids.json

# Rows of logits in a file, and what was written on standard output.
echo '{"ids": [3, 4, 5]}' >three.json
sums_model logits_of
status 0 "$fathom" score logits_of --ids three.json --logits rows.safetensors --json
same "$(field rows out)" 3
status 0 "$fathom" score logits_of --ids three.json --logits rows.safetensors
says out 'logits of 3 tokens'
