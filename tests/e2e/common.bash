# What the end-to-end scripts share. Each begins with
#   fathom=$1; . "$(dirname "$0")/common.bash"
# and runs in an empty folder of its own. A failed expectation prints what was expected and ends the script.
set -eu

die() { echo "FAILED at line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*" >&2; exit 1; }

# status CODE COMMAND...: runs it with nothing on standard input, keeps its output in the files out and err, and compares
# the exit status.
status() {
  local expected=$1 got=0
  shift
  "$@" </dev/null >out 2>err || got=$?
  [ "$got" -eq "$expected" ] || die "exit status $got, expected $expected: $* $(printf '\n'; head -c 2000 err)"
}

# says FILE TEXT: FILE holds TEXT.
says() { grep -qF -- "$2" "$1" || die "$1 does not say '$2': $(head -c 2000 "$1")"; }
silent() { ! grep -qF -- "$2" "$1" || die "$1 says '$2': $(head -c 2000 "$1")"; }

same() { [ "$1" = "$2" ] || die "'$1' is not '$2'"; }
differ() { [ "$1" != "$2" ] || die "'$1' twice"; }

# field NAME FILE: the value of a number, string or list of numbers in a line of JSON.
field() { sed -nE "s/.*\"$1\":(\"([^\"\\\\]|\\\\.)*\"|\[[-0-9.,e+]*\]|[-0-9.e+]+|true|false|null)[,}].*/\1/p" "$2" | tail -n 1; }

# A small model that knows the characters of sums.
sums_model() {
  "$fathom" init --preset v3-nano --tokenizer 'characters:0123456789+-=? ' --seed "${2:-1}" --out "$1" >/dev/null
}
