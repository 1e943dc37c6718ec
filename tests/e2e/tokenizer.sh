# New tokenizers, side by side, and text that is not UTF-8.
fathom=$1; . "$(dirname "$0")/common.bash"

for i in $(seq 200); do printf 'The quick brown fox %d jumps; the lazy dogs sleep.\n' "$i"; done >texts.txt
status 0 "$fathom" tokenizer train texts.txt --vocab-size 300 --out small
says out 'small: 300 tokens, 37 merges'
status 0 "$fathom" tokenizer train texts.txt texts.txt texts.txt --vocab-size 100000 --out large --output json
says err 'no further pair occurs twice'
same "$(field folder out)" '"large"'

"$fathom" tokenizer encode small --output json <texts.txt >ids
"$fathom" tokenizer decode small <ids >back
cmp -s texts.txt back || die 'text does not survive a trained tokenizer'
printf 'a\377\360\237\246z' | "$fathom" tokenizer encode small >ids
same "$("$fathom" tokenizer decode small <ids)" 'a��z'
status 0 "$fathom" tokenizer encode small --file texts.txt --file texts.txt --output json --timing
same "$(wc -l <out)" 2
says err 'MB/s'
status 0 "$fathom" tokenizer encode small '[1, <think>]'
"$fathom" tokenizer decode small <out >back
same "$(cat back)" '[1, <think>]'

status 0 "$fathom" tokenizer compare small small texts.txt
says out 'the same'
status 1 "$fathom" tokenizer compare small large texts.txt
says out 'the first difference is ids['
status 1 "$fathom" tokenizer compare small large texts.txt --output json
same "$(field same out)" false

status 2 "$fathom" tokenizer train texts.txt --vocab-size 300
says err '--out'
status 2 "$fathom" tokenizer train texts.txt --vocab-size 10 --out tiny
says err 'too small'
status 2 "$fathom" tokenizer compare small
status 2 "$fathom" tokenizer encode small a b
