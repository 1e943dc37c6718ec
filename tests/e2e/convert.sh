# fathom convert: the same model in other dtypes, files and names.
fathom=$1; . "$(dirname "$0")/common.bash"

sums_model sums
status 0 "$fathom" score sums --json "12+30=42"
cp out as_made

# Cut into files, joined again: not a byte of a weight changes, and neither do answers.
status 0 "$fathom" convert sums cut --shard-size 1MB --json
same "$(field copied out)" "$(field tensors out)"
[ -e cut/model-00002-of-00004.safetensors ] || die "no shards: $(ls cut)"
status 0 "$fathom" convert cut whole
cmp sums/model.safetensors whole/model.safetensors
cmp sums/tokenizer.json whole/tokenizer.json
status 0 "$fathom" score cut --json "12+30=42"
same "$(cat out)" "$(cat as_made)"

# FP8 and back: not a bit is lost.
status 0 "$fathom" convert sums bf16 --dtype bf16
status 0 "$fathom" convert bf16 fp8 --dtype fp8
says fp8/config.json '"quant_method": "fp8"'
status 0 "$fathom" inspect fp8
says out F8_E4M3
status 0 "$fathom" convert fp8 again --dtype bf16
silent again/config.json quantization_config
status 0 "$fathom" convert again back --dtype fp8
cmp fp8/model.safetensors back/model.safetensors

status 0 "$fathom" convert fp8 powers --scale-fmt ue8m0
says powers/config.json '"scale_fmt": "ue8m0"'

# The names of the reference demo, read without being told.
status 0 "$fathom" convert sums demo --names reference
says err 'left out: '
status 0 "$fathom" score demo --json "12+30=42"
same "$(field nll out)" "$(field nll as_made)"

# What cannot be is refused before anything is written.
status 2 "$fathom" convert sums cut
says err 'cut is there already'
status 2 "$fathom" convert sums x --dtype int4
says err 'expected f32, bf16, f16 or fp8'
status 2 "$fathom" convert sums x --scale-fmt ue8m0
says err 'add --dtype fp8'
status 2 "$fathom" convert sums x --shard-size many
says err 'expected a size such as 5GB'
status 2 "$fathom" convert sums x --names gguf
status 3 "$fathom" convert nowhere x
[ ! -e x ] || die "a refused conversion left a folder"

# A disk that is full, and a process that is killed.
mkdir room
status 1 bash -c 'ulimit -f 1000; exec "$@"' - "$fathom" convert sums room/new
same "$(ls -A room)" ''
status 0 "$fathom" init --preset small --tokenizer bytes --out small
"$fathom" convert small room/killed --dtype bf16 2>err &
until [ -e room/.writing-killed/model.safetensors ]; do [ -e "/proc/$!" ] || break; done
kill -INT $! || die "it was done before it could be stopped"
wait $! && die "a stopped conversion ended with 0"
says err 'nothing was written'
same "$(ls -A room)" ''

# Two at once: one is told, and what appears is whole.
"$fathom" convert small room/twice --dtype bf16 2>err &
until [ -e room/.writing-twice/config.json ]; do [ -e "/proc/$!" ] || break; done
got=0; "$fathom" convert small room/twice --dtype f16 2>second || got=$?
if [ "$got" -ne 0 ]; then
  grep -qE 'is being written by another process|is there already' second || die "$(cat second)"
fi
wait $! || [ "$got" -eq 0 ] || die "both failed: $(cat err)"
status 0 "$fathom" inspect room/twice
same "$(ls -A room)" twice

# What is no file with content is not waited for.
mkfifo sums/notes
status 0 timeout 20 "$fathom" convert sums with_pipe
[ ! -e with_pipe/notes ] || die "a pipe became a file"
rm sums/notes
