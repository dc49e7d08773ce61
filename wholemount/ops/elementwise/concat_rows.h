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

/// Where lanes [first, last) of a channel block come from. Blocked: lane l of voxel v is
/// x[16 v + l], so x may point before the tensor by as many floats as the lanes are shifted; lanes
/// outside are not touched. Plain: one lane, x[v].
struct LaneSource {
  const float* x;
  int32_t first;
  int32_t last;
};

/// A channel block gathered from several tensors: y(v)[l] = transform of l applied to the source of
/// lane l; lanes without a source are zero (their scale and shift are zero).
struct GatherLanesRow {
  const LaneSource* blocked;
  int32_t num_blocked;  ///< at most 16, as with plain ones
  const LaneSource* plain;
  int32_t num_plain;
  float* y;
  int64_t count;       ///< voxels
  const float* scale;  ///< 16 lanes, as are the others
  const float* shift;
  const float* slope;
};

/// One channel to a plain tensor: y[i] = transform(x[i * x_stride]).
struct CopyChannelRow {
  const float* x;
  int64_t x_stride;  ///< 1 or 16
  float* y;
  int64_t count;
  float scale;
  float shift;
  float slope;
};

// clang-format off
WM_DECLARE_PER_ISA(
void copy_block_row(const CopyBlockRow& row);
void gather_lanes_row(const GatherLanesRow& row);
void copy_channel_row(const CopyChannelRow& row);
)
// clang-format on

}  // namespace wholemount
