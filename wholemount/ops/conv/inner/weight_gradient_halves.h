#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// WeightGradientRun for eight coarse channels, or for a block of sixteen and eight: a register
/// holds the sums of an even and of an odd fine lane in turn, so that none is wasted on the second
/// half of a block that has none, and each pair of fine values read serves all halves. Fine tensors
/// are blocked.
struct WeightGradientHalvesRun {
  static constexpr int kMost = 3;
  const float* coarse[kMost];  ///< first voxel of the run, each channel twice: sixteen floats
  int32_t halves;              ///< 3, or 1
  const float* fine;           ///< voxel to which tap offset 0 of the run's first voxel points
  int32_t lanes;               ///< fine channels in use
  const int64_t* tap_offsets;  ///< voxels
  int32_t num_taps;
  int64_t length;      ///< voxels
  float* sums[kMost];  ///< [tap][16 fine lanes][16], at the half's first channel
  LineRange ahead;     ///< as in WeightGradientRun
};
/// Only where weight_gradient_takes_halves().
WM_DECLARE_PER_ISA(void add_weight_gradient_halves(const WeightGradientHalvesRun& run);)
WM_DECLARE_PER_ISA(bool weight_gradient_takes_halves();)

/// From `voxels` of sixteen channels: the first eight, each twice, to `low`; the others to `high`
/// (null: not wanted). Either may be `in`.
struct TwiceEachRow {
  const float* in;
  int64_t voxels;
  float* low;
  float* high;
};
WM_DECLARE_PER_ISA(void twice_each_row(const TwiceEachRow& row);)

}  // namespace wholemount
