#!/usr/bin/env bash
# Measures the steps of docs/roofline.md and writes the page and its pictures.
# Usage: bench/roofline.sh WHOLEMOUNT [OUT_FOLDER] ; options for every `bench step` in STEP_OPTIONS,
# e.g. STEP_OPTIONS="--threads 1 --rounds 2". About two minutes and 5 GB on two cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$1
out=${2:-$root/docs}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra options <<<"${STEP_OPTIONS:-}"
unet=$root/examples/unet_whole_volume.toml

step() {
  local file=$1
  shift
  echo "roofline: bench step $*" >&2
  "$program" bench step "$@" --json "${options[@]}" >"$work/$file"
}

step unet96.json "$unet" --set "data.shape=[96,96,96]"
step unet.json "$unet"
step mcnn.json "$root/examples/bbbc021.toml" --set data.root=none \
  --set "data.shape=[1,1024,1280]" --set train.batch=2 \
  --set 'data.target=["1","2","3","4","5","6","7","8","9","10","11","12","13"]'
python3 "$root/bench/roofline.py" "$out" \
  "U-Net f = 16, 96 x 96 x 96=$work/unet96.json" \
  "U-Net f = 16, 144 x 240 x 240=$work/unet.json" \
  "M-CNN, 2 fields of 1024 x 1280=$work/mcnn.json"
