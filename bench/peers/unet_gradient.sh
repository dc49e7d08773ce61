#!/usr/bin/env bash
# The gradient of one training step of paper A's U-Net, ours beside PyTorch's: the same weights, image,
# target and loss, and that of float64 arithmetic (PyTorch's) beside both. Ours is read from what an
# update of SGD (rate 2^16, no momentum) takes off the weights: so large a step that their own rounding
# does not blur it.
#   bench/peers/unet_gradient.sh [SHAPE] [FILTERS] [THREADS]
# Prints the relative difference (Euclidean norm) of every layer, weight and bias together, and the
# largest. PyTorch is installed into build/peers-venv; the product itself never needs Python.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shape=${1:-96x96x96}
filters=${2:-16}
threads=${3:-$(nproc)}
source "$root/bench/peers/venv.sh"
source "$root/bench/peers/phantom_job.sh"
python=$(peer_python peers-venv torch==2.13.0 numpy)
wm="$root/build/release/wholemount"
"$root/run" build >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One case trains, one validates.
phantom_job "$work" 2 "$shape" "$filters"
rate=65536
for each in 1e-30 "$rate"; do
  "$wm" train "$work/config.toml" --out "$work/rate-$each" --max-steps 1 --no-report \
    --threads "$threads" --set "train.optimizer={name=\"sgd\",rate=$each,momentum=0.0}" >/dev/null 2>&1
done
"$wm" evaluate "$work/rate-$rate" --split train --json >"$work/trained.json" 2>/dev/null
# The files of the case that trained: its first channel is FLAIR, its labels are the whole tumour.
read -r image labels < <("$python" - "$work/trained.json" <<'PYTHON'
import json, sys
case = json.load(open(sys.argv[1]))["metric_per_case"][0]
print(case["prediction_file"], case["reference_file"])
PYTHON
)
"$python" "$root/bench/peers/nifti_to_npy.py" "$work/image.npy" "$image"
"$python" "$root/bench/peers/nifti_to_npy.py" "$work/labels.npy" "$labels"
"$python" "$root/bench/peers/pytorch_unet_gradient.py" "$work/rate-1e-30/model.safetensors" \
  "$work/rate-$rate/model.safetensors" "$rate" "$work/image.npy" "$work/labels.npy" "$threads"
