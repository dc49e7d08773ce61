#!/usr/bin/env bash
# Trains within budgets inside a control group that allows 1.02 x the predicted peak, swap off: the
# kernel kills what needs more. Usage: cgroup_memory.sh PROGRAM. Exit 77 (skipped) where no memory
# control group can be made.
set -euo pipefail
program=$1
name=wholemount-test-$$
work=$(mktemp -d -p "$PWD")
group=
cleanup() {
  rm -rf "$work"
  if [[ -n $group ]]; then rmdir "$group" 2>/dev/null || true; fi
}
trap cleanup EXIT

if mkdir "/sys/fs/cgroup/memory/$name" 2>/dev/null; then
  group=/sys/fs/cgroup/memory/$name
  limit=memory.limit_in_bytes swap=memory.swappiness off=0
elif mkdir "/sys/fs/cgroup/$name" 2>/dev/null; then
  group=/sys/fs/cgroup/$name
  limit=memory.max swap=memory.swap.max off=0
fi
if [[ -z $group || ! -w $group/$limit ]]; then
  echo "skipped: cannot make a memory control group here (needs root and the memory controller)"
  exit 77
fi
echo $off >"$group/$swap" 2>/dev/null || true

mkdir "$work/spill"
"$program" synth brain "$work/data" --cases 3 --shape 48x64x64 --seed 5 >/dev/null 2>&1
cat >"$work/config.toml" <<TEXT
[data]
root = "$work/data"
channels = ["FLAIR"]
target = "whole-tumour"
split = { seed = 1, train = 0.7, validation = 0.3, test = 0.0 }
[net]
filters = 16
levels = 3
[train]
epochs = 1
batch = 2
[memory]
spill = "$work/spill"
TEXT
key() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}.*/\1/p" "$2" | head -1; }

"$program" train "$work/config.toml" --out "$work/none" --memory 16M 2>"$work/refused" && exit 1
smallest=$(sed -n 's/.*smallest budget that works is \([0-9]*\) bytes.*/\1/p' "$work/refused")
digest=
for budget in "$smallest" $((smallest * 5 / 4)) $((smallest * 2)) 4G; do
  "$program" plan "$work/config.toml" --memory "$budget" --json >"$work/plan.json"
  predicted=$(key peak_bytes "$work/plan.json")
  echo $((predicted + predicted / 50)) >"$group/$limit"
  out=$work/run-$budget
  (
    echo $BASHPID >"$group/cgroup.procs"
    exec "$program" train "$work/config.toml" --out "$out" --memory "$budget" >/dev/null 2>"$work/err"
  ) || { echo "budget $budget: failed in $predicted x 1.02"; cat "$work/err"; exit 1; }
  measured=$(key measured_peak_bytes "$out/summary.json")
  echo "budget $budget: predicted $predicted, measured $measured"
  [[ -z $digest || $digest == "$(key weights_digest "$out/summary.json")" ]] ||
    { echo "another digest"; exit 1; }
  digest=$(key weights_digest "$out/summary.json")
done
