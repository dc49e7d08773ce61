#!/usr/bin/env bash
# Trains for a moment, stops, resumes, and opens the run folder with TensorBoard's own reader, which
# must show every number of log.jsonl once. Usage: tensorboard.sh PROGRAM [PYTHON]
# Exit 77 (skipped) where PYTHON (default: python3) has no package tensorboard.
set -euo pipefail
program=$1
python=${2:-${TENSORBOARD_PYTHON:-python3}}
"$python" -c 'import tensorboard' 2>/dev/null || {
  echo "$python has no package tensorboard: skipped"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" synth brain "$work/data" --cases 4 --shape 16x24x20 --seed 5 >/dev/null 2>&1
cat >"$work/config.toml" <<TEXT
[data]
root = "$work/data"
target = ["whole-tumour", "tumour-core"]
split = { seed = 1, train = 0.75, validation = 0.25, test = 0.0 }
[net]
filters = 4
levels = 2
[train]
epochs = 4
batch = 1
TEXT
"$program" train "$work/config.toml" --out "$work/run" --max-steps 5 >/dev/null 2>&1
"$program" train "$work/config.toml" --out "$work/run" --resume >/dev/null 2>&1

"$python" - "$work/run" <<'PYTHON'
import collections
import json
import math
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder = sys.argv[1]
wanted = collections.defaultdict(list)
with open(f"{folder}/log.jsonl", encoding="utf-8") as log:
    for line in log:
        entry = json.loads(line)
        group = "train" if entry["kind"] == "step" else "validation"
        values = {k: v for k, v in entry.items() if k not in ("kind", "step", "epoch", "metrics")}
        values.update(entry.get("metrics", {}))
        for name, value in values.items():
            if value is not None:
                wanted[f"{group}/{name}"].append((entry["step"], value))
events = EventAccumulator(folder, size_guidance={"scalars": 0})
events.Reload()
found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
assert set(found) == set(wanted) | {"memory/resident_bytes"}, (sorted(found), sorted(wanted))
for tag, points in wanted.items():
    assert [step for step, _ in points] == [step for step, _ in found[tag]], (tag, found[tag])
    for (_, a), (_, b) in zip(points, found[tag]):
        assert math.isclose(a, b, rel_tol=1e-6), (tag, a, b)  # events hold float32
print(f"{len(found)} scalars, {sum(map(len, found.values()))} points: as in log.jsonl")
PYTHON
