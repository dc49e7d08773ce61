#!/usr/bin/env bash
# M-CNN's 5x5 convolution layers on fields of 1024x1280, forward and both gradients (of an image none
# is wanted), ours and PyTorch's (contiguous, channels-last) alternately in one run:
#   bench/peers/mcnn_layers.sh [THREADS] [REPEATS]
# PyTorch is installed into build/peers-venv; the product itself never needs Python.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
threads=${1:-$(nproc)}
repeats=${2:-2}
source "$root/bench/peers/venv.sh"
python=$(peer_python peers-venv torch==2.13.0 numpy)
image="c3 1024x1280 k1x5x5 -> c16"
others=("c16 1024x1280 k1x5x5 -> c16" "c16 512x640 k1x5x5 -> c16" "c16 256x320 k1x5x5 -> c16"
  "c32 128x160 k1x5x5 -> c32" "c32 64x80 k1x5x5 -> c32" "c32 32x40 k1x5x5 -> c32"
  "c64 16x20 k1x5x5 -> c64")
ours() {
  {
    "$root/run" bench kernels --no-onednn --threads "$threads" --rounds 7 --passes fw "$image"
    "$root/run" bench kernels --no-onednn --threads "$threads" --rounds 7 "${others[@]}"
  } | awk '
    match($0, /-> c[0-9]+ +[a-z_ ]+ +[0-9.]+ ms/) {
      text = substr($0, RSTART, RLENGTH)
      forward = text ~ /forward/
      sub(/ ms$/, "", text); sub(/.* /, "", text)
      if (forward) f += text; else g += text
    }
    END { printf "%-32s forward %9.2f ms   gradients %9.2f ms   all %9.2f ms\n", "sum, wholemount", f, g, f + g }'
}
theirs() {
  "$python" "$root/bench/peers/pytorch_conv_layers.py" --threads "$threads" "$@" "$image" \
    "${others[@]}" | tail -1
}
for ((i = 0; i < repeats; i++)); do
  ours
  theirs
  ours
  theirs --channels-last
done
