#!/usr/bin/env bash
# Writes a manifest of BBBC010 to stdout: one line a well, a file for each channel, and the class:
# columns 01 to 12 of the plate were treated (live), 13 to 24 were not (dead).
# usage: bbbc010_manifest.sh FOLDER_WITH_THE_TIFF_FILES
set -euo pipefail
folder=$(cd "$1" && pwd)
echo "id,GFP,brightfield,class,well"
for gfp in "$folder"/*_w1_*.tif; do
  name=${gfp##*/}
  well=$(sed -E 's/.*_([A-P][0-9]{2})_w1_.*/\1/' <<<"$name")
  bright=$(ls "$folder"/*_"${well}"_w2_*.tif)
  class=live
  if ((10#${well:1} > 12)); then class=dead; fi
  echo "$well,$gfp,$bright,$class,$well"
done
