#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// A whole channel block: y = transform(x), `count` floats with a period of 16 lanes.
struct CopyBlockRow {
  const float* x;
  float* y;
  int64_t count;
  const float* scale;  ///< 16 lanes
  const float* shift;  ///< 16 lanes
  float slope;
};

/// One channel: y[i * y_stride] = transform(x[i * x_stride]). x == nullptr: zeros.
struct CopyChannelRow {
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  int64_t count;
  float scale;
  float shift;
  float slope;
};

WM_DECLARE_PER_ISA(void copy_block_row(const CopyBlockRow& row);
                   void copy_channel_row(const CopyChannelRow& row);)

}  // namespace wholemount
