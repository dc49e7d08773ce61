#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// Copies one row of voxels of one channel block into scratch, reading through a LoadTransform and
/// surrounding it with zero voxels.
struct RowCopy {
  const void* source;     ///< lane 0 of the first voxel copied
  bool bfloat16;          ///< what the source holds (not when plain); else float32
  int64_t source_step;    ///< elements from one copied voxel to the next
  int64_t channel_pitch;  ///< plain sources: floats from a channel to the next
  int32_t channels;       ///< channels of the block (<= 16; <= 4 when plain)
  bool plain;             ///< the source is planar; else sixteen lanes lie side by side
  int32_t pitch;          ///< floats a voxel takes in scratch: 16, or (plain sources) 4
  float* destination;     ///< the first zero voxel before the row
  int64_t zeros_before;   ///< voxels
  int64_t count;          ///< voxels
  int64_t zeros_after;    ///< voxels
  bool transformed;       ///< false: copy as it is
  const float* scale;     ///< of the block's first channel; nullptr: 1
  const float* shift;     ///< likewise; nullptr: 0
  float slope;
};
WM_DECLARE_PER_ISA(void copy_row(const RowCopy& row);)

/// Multiplies the voxels of one row of one block of sixteen channels by the derivative of a leaky
/// rectifier of x: by 1 where x > 0, else by the slope.
struct RowRectify {
  const void* x;    ///< lane 0 of the first voxel
  bool bfloat16;    ///< what x holds; else float32
  float* gradient;  ///< lane 0 of the first voxel
  int64_t count;    ///< voxels
  float slope;
};
WM_DECLARE_PER_ISA(void rectify_row(const RowRectify& row);)

/// Adds the voxels of one row of one channel block to sixteen float64 sums.
struct RowSum {
  const float* source;    ///< lane 0 of the first voxel
  int64_t channel_pitch;  ///< plain sources: floats from a channel to the next
  int32_t channels;
  bool plain;
  int64_t count;  ///< voxels
  bool transformed;
  const float* scale;
  const float* shift;
  float slope;
  double* sums;  ///< sixteen
};
WM_DECLARE_PER_ISA(void sum_row(const RowSum& row);)

/// sums[i] += in[i] for i < count.
WM_DECLARE_PER_ISA(void add_to_sums(const float* in, double* sums, int64_t count);)

}  // namespace wholemount
