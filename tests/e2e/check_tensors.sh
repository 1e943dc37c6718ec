# --check-tensors finds damage that sizes and names do not show.
fathom=$1; . "$(dirname "$0")/common.bash"

sums_model sums
status 0 "$fathom" score sums --check-tensors "1+2=3"
status 0 "$fathom" run sums --check-tensors "1+2=" -n 2

# The last value of the file becomes NaN.
printf '\377\377\377\377' | dd of=sums/model.safetensors bs=1 seek=$(($(stat -c %s sums/model.safetensors) - 4)) conv=notrunc 2>/dev/null
status 0 "$fathom" inspect sums
for command in "score sums 1+2=3" "run sums 1+2=" "inspect sums"; do
  status 3 "$fathom" $command --check-tensors
  says err 'is not a finite number'
  says err 'sums/model.safetensors'
done
