#!/usr/bin/env bash
# Trains every fold of a configuration with data.split.folds and pools the images that validated.
# usage: folds.sh PROGRAM CONFIG OUT [train arguments...]
set -euo pipefail
program=$1 config=$2 out=$3
shift 3
folds=$(sed -nE 's/.*folds *= *([0-9]+).*/\1/p' "$config" | head -1)
right=0 all=0
for ((fold = 0; fold < folds; ++fold)); do
  "$program" train "$config" --out "$out/fold-$fold" --set data.split.fold="$fold" "$@" >/dev/null
  "$program" evaluate "$out/fold-$fold" --split validation --out "$out/fold-$fold/evaluation.json" >/dev/null
  of() { sed -nE "s/^  \"$1\": ([0-9]+),?/\1/p" "$out/fold-$fold/evaluation.json"; }
  echo "fold $fold: $(of right) of $(of images) right"
  right=$((right + $(of right))) all=$((all + $(of images)))
done
echo "pooled: $right of $all right"
