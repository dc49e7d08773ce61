#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// `count` numbers; x and y do not overlap.
struct ToBfloat16Row {
  const float* x;
  uint16_t* y;
  int64_t count;
};
struct FromBfloat16Row {
  const uint16_t* y;
  float* x;
  int64_t count;
};

WM_DECLARE_PER_ISA(void to_bfloat16_row(const ToBfloat16Row& row);
                   void from_bfloat16_row(const FromBfloat16Row& row);)

}  // namespace wholemount
