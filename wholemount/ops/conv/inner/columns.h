#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// out[j * out_step + r] = in[r * row_pitch + j] for j < count and r < rows; zero for rows <= r <
/// 16: the weights of sixteen channels from where they lie apart to a vector for each position.
struct GatherColumns {
  const float* in;
  int64_t row_pitch;  ///< floats
  int32_t rows;       ///< 1 .. 16
  int64_t count;
  float* out;
  int64_t out_step;  ///< floats; may be negative
};
WM_DECLARE_PER_ISA(void gather_columns(const GatherColumns& gather);)

/// out[r * row_pitch + j] = in[j * in_step + r] for j < count and r < rows, or += it: the way back.
struct ScatterColumns {
  const float* in;
  int64_t in_step;  ///< floats
  int64_t count;
  float* out;
  int64_t row_pitch;  ///< floats
  int32_t rows;       ///< 1 .. 16
  bool add;
};
WM_DECLARE_PER_ISA(void scatter_columns(const ScatterColumns& scatter);)

}  // namespace wholemount
