# The quick demo: a summary with all its keys, a model that learned to reason, a page that needs nothing else.
fathom=$1; . "$(dirname "$0")/common.bash"

status 0 "$fathom" demo --quick --seed 1 --yes --json --out d
tail -n 1 out >summary
for key in event seed wall_s parameters total active stages tokens before after t1 t1_se greedy pass8 mean_tokens \
  reasoning_share t1_forced_thinking second_task control t1_before t1_after max_vio mtp_agreement train_tokens_per_s \
  rollout_tokens_per_s; do
  says summary "\"$key\":"
done
says summary '{"event":"summary","seed":1,"wall_s":'

# figure SIDE KEY: a number of the exam before or after, or of the control.
figure() { sed -nE "s/.*\"$1\":\{([^}]*)\}.*/\1/p" summary | tr ',' '\n' | sed -nE "s/^\"$2\":(.*)\$/\1/p"; }
expect() { awk "BEGIN { exit !($2) }" || die "$1: not $2"; }
expect 'right answers rise by 0.7' "$(figure after t1) - $(figure before t1) >= 0.7"
expect 'right answers reach 0.9' "$(figure after t1) >= 0.9"
expect 'greedy reaches 0.95' "$(figure after greedy) >= 0.95"
expect 'answers grow to three times their length' "$(figure after mean_tokens) >= 3 * $(figure before mean_tokens)"
expect 'nearly all answers reason' "$(figure after reasoning_share) >= 0.9"
expect 'random rewards teach little' "$(figure control t1_after) - $(figure control t1_before) <= 0.2"

# Held-out documents are looked at on the way, and what is learned shows there too.
grep -oE '"val_loss":[0-9.e+-]+' d/metrics-pretrain.jsonl | cut -d: -f2 >held_out
[ "$(wc -l <held_out)" -ge 10 ] || die "the held-out curve has $(wc -l <held_out) points"
expect 'the held-out loss falls by half' "$(tail -n 1 held_out) < $(head -n 1 held_out) / 2"
[ -s d/report.html ] || die 'd/report.html is missing'
silent d/report.html 'http://'
silent d/report.html 'https://'
silent d/report.html 'still running'
for file in config.json model.safetensors tokenizer.json README.md; do [ -s "d/model/$file" ] || die "d/model/$file is missing"; done

# A demo that is done is not done again: it tells its summary from what is kept.
status 0 "$fathom" demo --quick --seed 1 --yes --json --out d
same "$(wc -l <out)" 1
same "$(sed 's/.*"before"/"before"/' out)" "$(sed 's/.*"before"/"before"/' summary)"

# Another seed in the same folder is refused, and the message names the one that is there.
status 2 "$fathom" demo --quick --seed 2 --yes --json --out d
says err 'seed 1'

# So is a folder that holds a run.
mkdir -p other/checkpoints
status 2 "$fathom" demo --quick --seed 1 --yes --json --out other
says err 'holds checkpoints'

# The model answers as it was taught.
status 0 "$fathom" run d '3+9+8+2+5+9 mod 10' --temp 0
same "$(tail -n 1 out)" 6
