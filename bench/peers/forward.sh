#!/usr/bin/env bash
# Whole-volume forward pass of one 3-D U-Net, the same weights and input, ours and in OpenVINO, ONNX
# Runtime and PyTorch (contiguous, channels-last, compiled), alternately in one run:
#   bench/peers/forward.sh [SHAPE] [FILTERS] [THREADS] [REPEATS]
# Probabilities are compared with those of float64 arithmetic (PyTorch's; float32 where memory does
# not suffice for that). The runtimes are installed into build/peers-forward-venv and
# build/peers-venv; the product itself never needs Python. Ours includes reading and writing the
# files; the others get the image in memory.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shape=${1:-96x96x96}
filters=${2:-16}
threads=${3:-$(nproc)}
repeats=${4:-2}
source "$root/bench/peers/venv.sh"
source "$root/bench/peers/phantom_job.sh"
python=$(peer_python peers-forward-venv numpy onnx onnxruntime openvino)
pytorch=$(peer_python peers-venv torch==2.13.0 numpy)
wm="$root/build/release/wholemount"
"$root/run" build >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

phantom_job "$work" 4 "$shape" "$filters"
"$wm" train "$work/config.toml" --out "$work/run" --max-steps 1 --threads "$threads" >/dev/null 2>&1
image=$(find "$work/data/imagesTr" -name '*.nii.gz' | sort | head -1)
# The first channel of the four is FLAIR; z-scored over the whole volume, as data.normalise asks.
"$python" "$root/bench/peers/nifti_to_npy.py" "$work/all.npy" "$image"
"$python" -c "import numpy as np; a = np.load('$work/all.npy')[:, :1].astype(np.float64); np.save('$work/image.npy', ((a - a.mean()) / a.std()).astype(np.float32))"

predict() {
  rm -rf "$work/out"
  "$wm" predict "$work/run" "$image" --out "$work/out" --probabilities --threads "$threads" --json \
    >"$work/ours.json" 2>/dev/null
}
ours() {
  predict
  "$python" - "$work/ours.json" "$work/ours.npy" "$work/wanted.npy" "$reference" <<'PYTHON'
import json, sys
import numpy as np
r = json.load(open(sys.argv[1]))
difference = np.abs(np.load(sys.argv[2]) - np.load(sys.argv[3])).max()
print("%-29s %8.3f s  %7.3f GB  largest difference to %s %.1e" % ("wholemount", r["cases"][0]["seconds"], r["measured_peak_bytes"] / 1e9, sys.argv[4], difference))
PYTHON
}
# theirs PYTHON RUNTIME MODEL
theirs() {
  "$1" "$root/bench/peers/forward_peer.py" "$2" "$3" "$work/image.npy" "$work/wanted.npy" \
    "$threads" 2 |
    "$python" -c 'import json,sys; r=json.load(sys.stdin); print("%-29s %8.3f s  %7.3f GB  largest difference to %s %.1e" % (r["framework"], r["forward_seconds"], r["peak_bytes"]/1e9, sys.argv[1], r["largest_difference"]))' "$reference"
}
echo "forward pass, f = $filters, [$shape], $threads threads"
model="$work/run/model.safetensors"
reference=$("$pytorch" "$root/bench/peers/pytorch_unet_weights.py" "$model" "$work/image.npy" "$work/wanted.npy")
predict
probabilities=$("$python" -c "import json; p = json.load(open('$work/ours.json'))['cases'][0]['probabilities']; print('\n'.join(p) if isinstance(p, list) else p)")
# Names of the program's own files hold no spaces.
"$python" "$root/bench/peers/nifti_to_npy.py" "$work/ours.npy" $probabilities
"$python" "$root/bench/peers/unet_onnx.py" "$model" "$shape" "$work/net.onnx"
for ((i = 0; i < repeats; i++)); do
  for runtime in openvino onnxruntime; do
    ours
    theirs "$python" "$runtime" "$work/net.onnx"
  done
  for runtime in pytorch pytorch-channels-last pytorch-compiled; do
    ours
    theirs "$pytorch" "$runtime" "$model"
  done
done
