#!/usr/bin/env bash
# examples/msd_task01_flair.toml, unchanged, on a folder of the form of Task01_BrainTumour.tar: 4-D
# images, `._` files beside every file, test images without labels. Only the volumes are small.
# Usage: msd_as_downloaded.sh PROGRAM CONFIG [SHAPE]
set -euo pipefail
program=$1
config=$(realpath "$2")
shape=${3:-32x48x48}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# 14 cases: the smallest number of which every part of the split has one.
"$program" synth brain Task01_BrainTumour --cases 14 --test 2 --shape "$shape" --seed 3 >synth.log 2>&1
find Task01_BrainTumour -mindepth 1 | while read -r path; do
  # AppleDouble: magic number, version, filler.
  printf '\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ' >"$(dirname "$path")/._$(basename "$path")"
done
[[ -e Task01_BrainTumour/._dataset.json && -e Task01_BrainTumour/labelsTr/._BRATS_001.nii.gz ]]

fail() {
  echo "msd_as_downloaded: $1" >&2
  exit 1
}
has() { grep -q -- "$2" "$1" || fail "no $2 in $1: $(cat "$1")"; }

"$program" info Task01_BrainTumour --check --json >info.json
has info.json '"layout": "msd"'
has info.json '"cases": 14'
has info.json '"unlabelled": 2'
has info.json '"cases_read": 16'
"$program" train "$config" --out run --max-steps 2 --json >train.json 2>train.log ||
  fail "train: $(cat train.log)"
has train.json '"steps": 2'
"$program" evaluate run --data Task01_BrainTumour --split test --json >scores.json
has scores.json '"whole-tumour"'
# A 4-D image gives the map of its FLAIR channel, on the grid of the image.
"$program" predict run Task01_BrainTumour/imagesTs --out maps --json >predict.json 2>/dev/null
"$program" info maps/BRATS_015.nii.gz Task01_BrainTumour/imagesTs/BRATS_015.nii.gz --json >maps.json
"$program" evaluate maps/BRATS_015.nii.gz maps/BRATS_015.nii.gz --json >/dev/null
[[ $(grep -c '"orientation"' maps.json) == 2 ]] || fail "a prediction is missing"
echo "msd_as_downloaded: trained, evaluated and predicted $shape"
