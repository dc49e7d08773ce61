#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// y = (accumulate ? y : 0) + weight * transform(x); `count` floats with a period of 16 lanes.
struct WeightedRow {
  const float* x;
  float* y;
  int64_t count;
  const float* scale;  ///< 16 lanes
  const float* shift;  ///< 16 lanes
  float slope;
  float weight;
  bool accumulate;
};

/// Windows along w: window o holds voxels [o * stride - padding, + kernel) of [0, width).
struct WindowsRow {
  const float* x;     ///< forward: sums of voxels; backward: sums of windows
  float* y;           ///< forward: one value a window; backward: one a voxel
  const float* base;  ///< backward: added, may be y; or null
  int64_t block_width;
  int64_t width;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
  int64_t num_windows;
  const float* weight;  ///< by window: 1 / number of its voxels along w
};

WM_DECLARE_PER_ISA(void add_weighted_row(const WeightedRow& row);
                   /// y[o] = weight[o] * sum of x over window o.
                   void average_windows_row(const WindowsRow& row);
                   /// y[v] = base[v] + sum of weight[o] * x[o] over the windows that hold v.
                   void spread_windows_row(const WindowsRow& row);)

}  // namespace wholemount
