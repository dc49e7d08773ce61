#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// `count` floats with a period of 16 lanes: y = z > 0 ? z : slope * z, z = fma(scale, x, shift).
struct ApplyRow {
  const float* x;
  float* y;
  int64_t count;
  const float* scale;  ///< 16 lanes
  const float* shift;  ///< 16 lanes
  float slope;
};

/// `count` floats: grad_x = x > 0 ? grad_y : slope * grad_y; grad_x may be grad_y.
struct ActivationBackwardRow {
  const void* x;
  bool bfloat16;  ///< what x holds, `count` then a multiple of 16; else float32
  const float* grad_y;
  float* grad_x;
  int64_t count;
  float slope;
};

WM_DECLARE_PER_ISA(void apply_row(const ApplyRow& row);
                   void activation_backward_row(const ActivationBackwardRow& row);)

}  // namespace wholemount
