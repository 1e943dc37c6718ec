#!/bin/bash
# No file of ours is longer than 1000 lines: check_file_sizes.sh [ROOT]
# Data in tests/ (anything but programs) and the licence text do not count.
set -eu
cd "${1:-$(dirname "$0")/..}"
limit=1000
folders=()
for folder in src cmake scripts docs tests fuzz; do [ -d "$folder" ] && folders+=("$folder"); done
find "${folders[@]}" -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.sh' -o -name '*.py' \
  -o -name '*.cmake' -o -name '*.md' -o -name CMakeLists.txt \) -exec wc -l {} + |
  awk -v limit=$limit '$2 != "total" { files++ }
       $2 != "total" && $1 > limit { print $2 ": " $1 " lines; expected at most " limit ". Fix: split it by concept."; bad++ }
       END { if (!files) { print "no file found"; exit 1 }
             print files " files, " bad + 0 " too long"; exit bad > 0 }'
