# fathom plan: what a model costs, from a preset, a folder or a config.json; prices from a user's file.
fathom=$1; . "$(dirname "$0")/common.bash"

status 0 "$fathom" plan v3
for figure in '671.0B' '37.55B (36.63B' '70 272 bytes per token' '2 788K GPU-hours' '$5.576M' '9.3x input, 9.1x output'; do
  says out "$figure"
done

# A folder is planned by its config.json, whatever it holds beside it.
sums_model sums
status 0 "$fathom" plan sums --json
total=$(field total out)
status 0 "$fathom" plan sums/config.json --json
same "$total" "$(field total out)"
sed 's/"hidden_size": *128/"hidden_size": 192/' sums/config.json >wide.json
status 0 "$fathom" plan wide.json --json
differ "$total" "$(field total out)"

# A folder called like a preset is what it holds.
cp -r sums v2
status 0 "$fathom" plan v2 --json
same "$total" "$(field total out)"
silent out '"date":"2024-08-02"'
rm -r v2
status 0 "$fathom" plan v2 --html plan.html
says plan.html '<svg'

cat >prices.json <<'END'
{"as_of": "2030-01-02", "prices": [
  {"provider": "Own", "model": "ours", "presets": ["v3"], "from": "2030-01-01", "windows": [{"miss": 1, "out": 2}]},
  {"provider": "Other", "model": "theirs", "from": "2029-01-01", "windows": [{"miss": 9, "out": 18}]}]}
END
status 0 "$fathom" plan v3 --prices prices.json
says out 'as of 2030-01-02'
says out '9.0x input, 9.0x output'
sed -i 's/"miss": 9/"miss": -9/' prices.json
status 2 "$fathom" plan v3 --prices prices.json
says err 'prices.json: price 2: miss is -9'
status 1 "$fathom" plan v3 --prices missing.json

status 2 "$fathom" plan v33
says err 'did you mean v3'
status 2 "$fathom" plan v3 --mfu 3
says err '--mfu is 3'
status 2 "$fathom" plan v3-nano
says err '--vocab-size'
mkdir empty
status 3 "$fathom" plan ./empty
