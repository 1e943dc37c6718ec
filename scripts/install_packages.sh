#!/bin/bash
# Installs what is missing from lists of Debian and Ubuntu packages: install_packages.sh LIST...
# Says first what is missing; does nothing when nothing is. Uses apt-get as root, or through sudo.
set -eu

run() {
  echo "+ $*"
  "$@"
}

names=()
optional=()
for list in "$@"; do
  while read -r name kind; do
    case $name in '' | '#'*) continue ;; esac
    if [ "${kind:-}" = optional ]; then optional+=("$name"); else names+=("$name"); fi
  done <"$list"
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "This system has no apt-get. Please see that the counterparts of these Debian packages are installed:"
  echo "  ${names[*]}  (optional: ${optional[*]:-none})"
  exit 0
fi

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
missing=()
for name in "${names[@]}"; do installed "$name" || missing+=("$name"); done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
echo "Missing packages: ${missing[*]}"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Neither root nor sudo here. Please have an administrator run:"
    echo "  apt-get update && apt-get install ${missing[*]} ${optional[*]}"
    exit 1
  fi
  as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
run "${apt[@]}" update
run "${apt[@]}" install -y --no-install-recommends "${missing[@]}"

# Helpers for speed come along with the first installation; where the system lacks one, the build goes on without it.
for name in "${optional[@]}"; do
  installed "$name" || run "${apt[@]}" install -y --no-install-recommends "$name" || echo "Going on without $name."
done
