#!/usr/bin/env bash
# Checks that the inner product loops of the convolution kernels hold their numbers in registers, in
# the release build (which must exist). Not looked at: the Winograd transforms, whose 216 numbers fit
# no register file, and kernels that wait for memory (dense_rows, head_rows).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
objects=()
for isa in avx2 avx512; do
  folder="$root/build/release/library/ops/conv/CMakeFiles/wm_ops_conv_$isa.dir/inner"
  for source in correlation_plane correlation_rows few_outputs few_coarse gemm_tile weight_gradient_run weight_gradient_halves winograd_product winograd_sums row_winograd_product row_winograd_gradient; do
    if [[ ! -f $folder/$source.cpp.o ]]; then
      echo "check_spills: $folder/$source.cpp.o is missing; build first: ./run test" >&2
      exit 1
    fi
    objects+=("$folder/$source.cpp.o")
  done
done
exec python3 "$root/tools/check_spills.py" "${objects[@]}"
