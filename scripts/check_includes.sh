#!/bin/bash
# The layering of src/, checked: check_includes.sh [ROOT]
#
#   - a file includes its own folder and what cmake/fathom_folders.cmake lets that folder include, with what those may;
#     *_test.cpp and *_bench.cpp also the folder backend and what lies below it
#   - "quoted" includes are written from src/ and name a file there; system headers stand in <brackets>
#   - getenv appears only in src/app
#   - nlohmann-json, toml++ and CLI11 are each included by at most one file, and never by a header
set -eu
cd "${1:-$(dirname "$0")/..}"
{
  cat cmake/fathom_folders.cmake
  find src -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) | sort |
    xargs -d '\n' grep -nHE '^[[:space:]]*#[[:space:]]*include|getenv' || true
} | awk '
function fault(text) { print where ": " text; faults++ }

# Whether files of folder `from` may include folder `to`, by the list and then by what the listed ones may.
function allowed(from, to,    parts, n, i) {
  if (from == to) return 1
  if ((from, to) in known) return known[from, to]
  known[from, to] = 0
  n = split(below[from], parts, ",")
  for (i = 1; i <= n; i++) if (allowed(parts[i], to)) { known[from, to] = 1; break }
  return known[from, to]
}

function check_ours(path,    folder) {
  if (path ~ /(^|\/)\.\.?\//) { fault("include \"" path "\" walks folders; write it from src/"); return }
  folder = path; sub(/\/.*/, "", folder)
  if (path !~ /\// || !(folder in below)) {
    fault("include \"" path "\" names no folder of src/; write ours from src/, the system'\''s in <brackets>"); return
  }
  if ((getline line < ("src/" path)) < 0) { fault("include \"" path "\": there is no src/" path); return }
  close("src/" path)
  if (allowed(own, folder)) return
  if (file ~ /_(test|bench)\.cpp$/ && ("backend" in below) && allowed("backend", folder)) return
  fault("include \"" path "\": " own " may include only " own (below[own] ? " and " below[own] " with what those may" : "") \
        ". Fix: move the code up the line, or see docs/architecture.md.")
}

function check_vendor(path,    vendor) {
  vendor = path; sub(/\/.*/, "", vendor)
  if (vendor != "nlohmann" && vendor != "toml++" && vendor != "CLI") return
  if (file ~ /\.h$/) fault("<" path "> in a header; it costs seconds wherever it is read")
  if ((vendor in owner) && owner[vendor] != file) fault("<" path "> is already wrapped by " owner[vendor])
  owner[vendor] = file
}

/^[ \t]*"[a-z]+:[a-z,]*"[ \t]*$/ && !/^src\// {
  gsub(/[ \t"]/, ""); split($0, entry, ":"); below[entry[1]] = entry[2]; next
}
!/^src\// { next }
{
  file = $0; sub(/:.*/, "", file)
  where = $0; match(where, /^[^:]*:[0-9]+/); text = substr(where, RLENGTH + 2); where = substr(where, 1, RLENGTH)
  own = file; sub(/^src\//, "", own)
  if (own !~ /\//) { fault("stands in src/ itself, outside every folder"); next }
  sub(/\/.*/, "", own)
  if (!(own in below)) { fault("folder " own " is missing from FATHOM_FOLDERS in cmake/fathom_folders.cmake"); next }
  lines++
  if (text ~ /^[ \t]*#[ \t]*include[ \t]*"/) {
    sub(/^[^"]*"/, "", text); sub(/".*/, "", text); check_ours(text)
  } else if (text ~ /^[ \t]*#[ \t]*include[ \t]*</) {
    sub(/^[^<]*</, "", text); sub(/>.*/, "", text); check_vendor(text)
  } else if (own != "app") {
    sub(/\/\/.*/, "", text)
    if (text ~ /getenv/) fault("getenv below app. Fix: read the environment in src/app and pass a value.")
  }
}
END {
  if (!lines) { print "no include found under src/"; exit 1 }
  print lines " includes, " faults + 0 " faults"
  exit faults > 0
}'
