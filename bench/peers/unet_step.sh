#!/usr/bin/env bash
# One training step of paper A's U-Net, ours and PyTorch's, alternately in one run (A B A B):
#   bench/peers/unet_step.sh [SHAPE] [FILTERS] [THREADS] [REPEATS]
# PyTorch's CPU build is installed into build/peers-venv; the product itself never needs Python.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shape=${1:-96x96x96}
filters=${2:-16}
threads=${3:-$(nproc)}
repeats=${4:-2}
venv="$root/build/peers-venv"
if [[ ! -x $venv/bin/python ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet torch==2.13.0 numpy
fi
"$root/run" build >/dev/null
list="[${shape//x/,}]"
ours() {
  "$root/build/release/wholemount" bench step "$root/examples/unet_whole_volume.toml" \
    --set data.root=none --set "data.shape=$list" --set "net.filters=$filters" \
    --threads "$threads" --rounds 3 --json |
    python3 -c 'import json,sys; r=json.load(sys.stdin); print("wholemount            %8.3f s  %7.3f GB  (predicted %.3f GB)" % (r["step_seconds"], r["peak_bytes"]/1e9, r["predicted_peak_bytes"]/1e9))'
}
theirs() {
  "$venv/bin/python" "$root/bench/peers/pytorch_unet_step.py" --shape "$shape" \
    --filters "$filters" --threads "$threads" --rounds 2 $1 |
    python3 -c 'import json,sys; r=json.load(sys.stdin); print("%-21s %8.3f s  %7.3f GB  (%s)" % (r["framework"], r["step_seconds"], r["peak_bytes"]/1e9, r["memory_format"]))'
}
echo "one training step, batch 1, f = $filters, [$shape], $threads threads"
for ((i = 0; i < repeats; i++)); do
  ours
  theirs ""
  ours
  theirs "--channels-last"
done
