#!/usr/bin/env bash
# Installs what is missing of the named groups of tools/packages.txt ("build", "check", "bench").
# Does nothing, quickly and offline, when everything is there.
set -euo pipefail
list=$(dirname "${BASH_SOURCE[0]}")/packages.txt

wanted=()
for group in "$@"; do
  while read -r package; do wanted+=("$package"); done < <(sed -n "s/^$group \+//p" "$list")
done

if ! command -v dpkg-query >/dev/null; then
  echo "run: this is no Debian system, so nothing is installed for you. Needed (Debian names):" >&2
  printf '  %s\n' "${wanted[@]}" >&2
  exit 0
fi

installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null |
  sed -n 's/^ii *//p' | tr '\n' ' ') "
missing=()
for package in "${wanted[@]}"; do
  [[ $installed == *" $package "* ]] || missing+=("$package")
done
((${#missing[@]} > 0)) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "run: missing packages, and neither root nor sudo to install them. As root:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "run: installing ${missing[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } \
  >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  echo "run: apt-get could not install: ${missing[*]}" >&2
  echo "run: check the network and /etc/apt/sources.list (Debian 12), or install them yourself" >&2
  exit 1
fi
