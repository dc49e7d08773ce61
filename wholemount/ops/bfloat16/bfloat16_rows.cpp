#include "wholemount/ops/bfloat16/bfloat16_rows.h"

#include <string.h>

namespace wholemount::WM_ISA {

// Written for the compiler to turn into vectors: memory is the limit, not arithmetic.

void to_bfloat16_row(const ToBfloat16Row& row) {
  const float* __restrict x = row.x;
  uint16_t* __restrict y = row.y;
  for (int64_t i = 0; i < row.count; ++i) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof(bits));
    // Half of the last kept place, less one where that place is even: ties go to even.
    const uint32_t rounded = (bits + 0x7fffU + (bits >> 16U & 1U)) >> 16U;
    // Rounding could carry a NaN to infinity; a quiet one stays one.
    const uint32_t quiet = bits >> 16U | 0x40U;
    y[i] = static_cast<uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
  }
}

void from_bfloat16_row(const FromBfloat16Row& row) {
  const uint16_t* __restrict y = row.y;
  float* __restrict x = row.x;
  for (int64_t i = 0; i < row.count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(y[i]) << 16U;
    memcpy(x + i, &bits, sizeof(bits));
  }
}

}  // namespace wholemount::WM_ISA
