#!/usr/bin/env bash
# One training step of paper A's U-Net, ours, PyTorch's and (with TENSORFLOW=1) TensorFlow's with and
# without oneDNN, and (with DEBIAN_PYTORCH=1) that of Debian's PyTorch 1.13, alternately in one run
# (A B A B):
#   [TENSORFLOW=1] [DEBIAN_PYTORCH=1] bench/peers/unet_step.sh [SHAPE] [FILTERS] [THREADS] [REPEATS]
# The CPU builds are installed into build/peers-venv and build/peers-tf-venv; the product itself never
# needs Python.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shape=${1:-96x96x96}
filters=${2:-16}
threads=${3:-$(nproc)}
repeats=${4:-2}
source "$root/bench/peers/venv.sh"
pytorch=$(peer_python peers-venv torch==2.13.0 numpy)
if [[ -n ${TENSORFLOW:-} ]]; then tensorflow_python=$(peer_python peers-tf-venv tensorflow-cpu); fi
if [[ -n ${DEBIAN_PYTORCH:-} ]]; then "$root/tools/install_packages.sh" debian-pytorch; fi
"$root/run" build >/dev/null
list="[${shape//x/,}]"
ours() {
  "$root/build/release/wholemount" bench step "$root/examples/unet_whole_volume.toml" \
    --set data.root=none --set "data.shape=$list" --set "net.filters=$filters" \
    --threads "$threads" --rounds 3 --json |
    python3 -c 'import json,sys; r=json.load(sys.stdin); print("wholemount            %8.3f s  %7.3f GB  (predicted %.3f GB)" % (r["step_seconds"], r["peak_bytes"]/1e9, r["predicted_peak_bytes"]/1e9))'
}
print_peer() {
  python3 -c 'import json,sys; r=json.load(sys.stdin); print("%-21s %8.3f s  %7.3f GB  (%s)" % (r["framework"], r["step_seconds"], r["peak_bytes"]/1e9, r["memory_format"]))'
}
# theirs PYTHON [OPTION...]
theirs() {
  "$1" "$root/bench/peers/pytorch_unet_step.py" --shape "$shape" \
    --filters "$filters" --threads "$threads" --rounds 2 "${@:2}" | print_peer
}
tensorflow() {
  TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=$1 "$tensorflow_python" \
    "$root/bench/peers/tensorflow_unet_step.py" --shape "$shape" --filters "$filters" \
    --threads "$threads" --rounds 2 2>/dev/null | print_peer
}
echo "one training step, batch 1, f = $filters, [$shape], $threads threads"
for ((i = 0; i < repeats; i++)); do
  ours
  theirs "$pytorch"
  ours
  theirs "$pytorch" --channels-last
  ours
  theirs "$pytorch" --channels-last --compile
  if [[ -n ${DEBIAN_PYTORCH:-} ]]; then
    ours
    theirs /usr/bin/python3
  fi
  if [[ -n ${TENSORFLOW:-} ]]; then
    tensorflow 1
    tensorflow 0
  fi
done
