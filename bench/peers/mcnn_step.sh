#!/usr/bin/env bash
# One training update of paper B's M-CNN on 1024x1280x3 fields, ours and PyTorch's alternately in one
# run (A B A B):
#   bench/peers/mcnn_step.sh [BATCH] [THREADS] [REPEATS]
# PyTorch runs BATCH one by one (micro-batch 1), in both memory formats, and four by four, its best
# on two cores (dense weights are then read once for four images); with WHOLE_BATCH=1 once more with
# all images at a time, and with COMPILE=1 compiled. The CPU build is installed into
# build/peers-venv; the product itself never needs Python.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
batch=${1:-32}
threads=${2:-$(nproc)}
repeats=${3:-2}
source "$root/bench/peers/venv.sh"
pytorch=$(peer_python peers-venv torch==2.13.0 numpy)
"$root/run" build >/dev/null
ours() {
  "$root/build/release/wholemount" bench step "$root/examples/bbbc021.toml" \
    --set data.root=none --set 'data.shape=[1,1024,1280]' --set "train.batch=$batch" \
    --set 'data.target=["1","2","3","4","5","6","7","8","9","10","11","12","13"]' \
    --threads "$threads" --rounds 2 --json "$@" |
    python3 -c 'import json,sys; r=json.load(sys.stdin); b=int(sys.argv[1]); print("wholemount            %8.3f s  %7.3f s an image  %7.3f GB  (predicted %.3f GB)" % (r["step_seconds"], r["step_seconds"]/b, r["peak_bytes"]/1e9, r["predicted_peak_bytes"]/1e9))' "$batch"
}
theirs() {
  "$pytorch" "$root/bench/peers/pytorch_mcnn_step.py" --batch "$batch" \
    --threads "$threads" "$@" |
    python3 -c 'import json,sys; r=json.load(sys.stdin); print("%-21s %8.3f s  %7.3f s an image  %7.3f GB  (%s)" % (r["framework"], r["step_seconds"], r["seconds_per_image"], r["peak_bytes"]/1e9, r["memory_format"]))'
}
echo "one update of $batch fields of 1024x1280x3, $threads threads"
for ((i = 0; i < repeats; i++)); do
  ours
  theirs --micro-batch 1
  ours
  theirs --micro-batch 1 --channels-last
  ours
  theirs --micro-batch "$((batch < 4 ? batch : 4))" --channels-last
done
if [[ -n ${COMPILE:-} ]]; then theirs --micro-batch 1 --channels-last --compile; fi
if [[ -n ${WHOLE_BATCH:-} ]]; then theirs --channels-last; fi
