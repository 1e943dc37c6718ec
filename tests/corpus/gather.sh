#!/bin/bash
# Gathers text and code from Debian packages, to train and measure with: gather.sh FOLDER
#
# FOLDER (outside the repository) gets KIND/PACKAGE/*.txt, UTF-8, one file for each file of the package. A package that is
# there already is left alone, so a broken-off run goes on; one that cannot be had is named and skipped. Needs apt-get with
# Debian's package lists, dpkg-deb and python3. Each package has its own licence, in /usr/share/doc of the package.
set -eu
folder=${1:?"usage: gather.sh FOLDER"}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
case $folder/ in "$root"/*) echo "gather.sh: $folder is inside the repository; give a folder outside" >&2; exit 2 ;; esac

# kind, package, and which of its files: a regular expression on the path
packages='
manual  manpages          /man/.*[.]gz$
manual  manpages-dev      /man/.*[.]gz$
manual  manpages-de       /man/.*[.]gz$
manual  manpages-es       /man/.*[.]gz$
manual  manpages-fr       /man/.*[.]gz$
manual  manpages-it       /man/.*[.]gz$
manual  manpages-ja       /man/.*[.]gz$
manual  manpages-pl       /man/.*[.]gz$
manual  manpages-pt-br    /man/.*[.]gz$
manual  manpages-ru       /man/.*[.]gz$
manual  manpages-zh       /man/.*[.]gz$
doc     perl-doc          [.]pod$
doc     python3.11-doc    [.]rst([.]txt)?$
doc     git-doc           [.]txt([.]gz)?$
doc     postgresql-doc-15 [.]html$
header  libboost1.81-dev  [.]hpp$
header  libstdc++-12-dev  /include/
header  linux-libc-dev    [.]h$
header  libeigen3-dev     /include/
code    libpython3.11-stdlib [.]py$
code    perl-modules-5.36 [.]p[lm]$
'

# take PACKAGE_ROOT OUT PATTERN: the matching files as OUT/*.txt; says how many, how large, and what was not UTF-8.
take() {
  python3 - "$@" <<'PYTHON'
import gzip, os, re, sys
source, out, pattern = sys.argv[1], sys.argv[2], re.compile(sys.argv[3])
taken = size = skipped = 0
for base, folders, names in sorted(os.walk(source)):
    for name in sorted(names):
        path = os.path.join(base, name)
        if os.path.islink(path) or not pattern.search(path):
            continue
        with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
            data = file.read()
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            skipped += 1
            continue
        if not data.strip():
            continue
        flat = os.path.relpath(path, source).replace("/", "__")[-180:]
        with open(os.path.join(out, flat + ".txt"), "wb") as file:
            file.write(data)
        taken += 1
        size += len(data)
print(f"{taken} files, {size / 1e6:.1f} MB" + (f"; skipped {skipped} that are not UTF-8" if skipped else ""))
PYTHON
}

work=$folder/.work
while read -r kind package pattern; do
  [ -n "$kind" ] || continue
  target=$folder/$kind/$package
  [ -d "$target" ] && { echo "$package: there already"; continue; }
  rm -rf "$work"
  mkdir -p "$work/root" "$work/out" "$folder/$kind"
  if ! (cd "$work" && apt-get download -qq "$package" >/dev/null 2>&1) || ! dpkg-deb -x "$work"/*.deb "$work/root"; then
    echo "$package: skipped, apt-get download does not give it"
    continue
  fi
  echo "$package: $(take "$work/root" "$work/out" "$pattern")"
  mv "$work/out" "$target"
done <<<"$packages"
rm -rf "$work"

echo
for kind in manual doc header code; do
  [ -d "$folder/$kind" ] || continue
  find "$folder/$kind" -name '*.txt' -printf '%s\n' |
    awk -v kind="$kind" '{ n++; s += $1 } END { printf "%-8s %6d files  %8.1f MB\n", kind, n, s / 1e6 }'
done
find "$folder" -name '*.txt' -printf '%s\n' | awk '{ s += $1 } END { printf "%-8s %21.1f MB\n", "all", s / 1e6; exit s < 1e8 }' ||
  echo "less than 100 MB: some packages were skipped"
