# Memory of a long training run stands still: v3-nano from step 100 to step 1000 grows by at most 1 MB, with batches of one size
# and with documents of many lengths.
fathom=$1; . "$(dirname "$0")/../e2e/common.bash"
for i in $(seq 3000); do echo "cat number $i sat on the mat and counted $((i * i)) birds"; done >text.txt
# Documents of many lengths: batches differ in size from step to step, as those of windows do not.
for i in $(seq 800); do
  echo "{\"prompt\": \"count to $((i % 40 + 1))\", \"answer\": \"$(seq -s ' ' $((i % 40 + 1)))\"}"
done >talks.jsonl

# growth NAME COMMAND...: adds resident memory at steps 100 and 1000 to the file growths.
growth() {
  local name=$1
  shift
  "$@" --out "$name" --steps 1000 --log-every 1 --eval-every 0 --save-every 0 --threads 1 --json </dev/null >"$name.jsonl" 2>err || die "$(cat err)"
  awk -v name="$name" 'BEGIN { FS = "[:,}]" } /"event":"step"/ {
      for (i = 1; i < NF; ++i) { if ($i ~ /"step"$/) step = $(i + 1); if ($i ~ /"rss_mb"/) rss = $(i + 1) }
      if (step == 100) first = rss; if (step == 1000) last = rss
    } END { printf "%s %.2f %.2f\n", name, first, last }' "$name.jsonl" >>growths
}
growth windows "$fathom" train --preset v3-nano --data text.txt
growth documents "$fathom" train --preset v3-nano --data talks.jsonl
awk '$2 == 0 || $3 - $2 > 1 { exit 1 }' growths || die "memory grows: $(cat growths)"
echo "resident MB at step 100 and at step 1000: $(paste -sd' ' growths)"
