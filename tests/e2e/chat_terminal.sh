# fathom chat on a terminal: keys, history, Ctrl-C and Ctrl-D, several lines, what a model may write. A pseudo-terminal that
# python3 drives (its standard library alone) takes the place of a person.
fathom=$1; here=$(dirname "$0"); . "$here/common.bash"
command -v python3 >/dev/null || { echo 'skipped: there is no python3'; exit 77; }
sums_model sums
"$fathom" init --preset small --tokenizer 'characters:0123456789+-=? ' --seed 1 --out slow >/dev/null
"$fathom" init --preset llm-nano --tokenizer "characters:1$(printf '\033\007\177')" --out escapes >/dev/null
"$fathom" init --preset llm-nano --tokenizer 'characters:aäöü語' --out umlauts >/dev/null
python3 "$here/chat_terminal.py" "$fathom" || die 'chat_terminal.py'
