#!/usr/bin/env bash
# Fuzzes one target, or "all" in turn, for SECONDS each under the sanitizers. Inputs that reach new
# code are kept in build/fuzz/work/TARGET, so that the next run goes on from there; a finding is
# written to build/fuzz/findings/. CPU seconds spent are added to build/fuzz/cpu_seconds. What
# follows SECONDS goes to libFuzzer, e.g. -timeout=600 beside work that stops the fuzzer for minutes.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:?usage: fuzz.sh TARGET|all SECONDS [LIBFUZZER OPTIONS]}
seconds=${2:-60}
options=("${@:3}")

fuzz_one() {
  local name=$1
  local program=$root/build/fuzz/tests/fuzz/fuzz_$name
  if [[ ! -x $program ]]; then
    echo "fuzz: no target $name; known: $(cd "$root/tests/fuzz/corpus" && echo *)" >&2
    return 2
  fi
  local work=$root/build/fuzz/work/$name
  mkdir -p "$work" "$root/build/fuzz/findings"
  local arguments=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=64
    -max_len=8192 -print_final_stats=1 "-artifact_prefix=$root/build/fuzz/findings/${name}_")
  local dictionary=$root/tests/fuzz/dictionaries/$name.dict
  if [[ -f $dictionary ]]; then arguments+=("-dict=$dictionary"); fi
  arguments+=("${options[@]}")
  local status=0
  local TIMEFORMAT='%U %S'
  { time "$program" "${arguments[@]}" "$work" "$root/tests/fuzz/corpus/$name" \
    >"$root/build/fuzz/$name.log" 2>&1; } 2>"$root/build/fuzz/$name.time" || status=$?
  local spent
  spent=$(awk '{ printf "%.0f", $1 + $2 }' "$root/build/fuzz/$name.time")
  echo "$name $spent" >>"$root/build/fuzz/cpu_seconds"
  if ((status != 0)); then
    echo "fuzz: $name: finding in build/fuzz/findings (log build/fuzz/$name.log)" >&2
    return 1
  fi
  echo "fuzz: $name: nothing found in $spent CPU seconds," \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$root/build/fuzz/$name.log") inputs"
}

if [[ $target != all ]]; then
  fuzz_one "$target"
  exit
fi
failed=0
for folder in "$root"/tests/fuzz/corpus/*/; do
  fuzz_one "$(basename "$folder")" || failed=1
done
exit "$failed"
