#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// For one fine channel block and one or two coarse ones, over a flat run of voxels:
///   sums[block][tap][lane][16] += sum over i of coarse[block](i) * fine(i + offset[tap])[lane]
/// The run is summed in registers from zero and then added to memory (two levels), which keeps the
/// rounding error of sums over millions of voxels near that of a short one.
struct WeightGradientRun {
  const float* coarse[2];  ///< first voxel of the run, 16 lanes a voxel
  int32_t num_coarse;      ///< 1 or 2 (2 only where weight_gradient_max_coarse() is 2)
  /// 1 to 4: the only coarse block holds that many channels, at four floats a voxel, and `sums` is
  /// [tap][channel][16 fine lanes] (fine pitch 16 only); 0: up to sixteen.
  int32_t few_coarse;
  const float* fine;           ///< voxel to which tap offset 0 of the run's first voxel points
  int32_t pitch;               ///< floats from a fine voxel to the next: 16, 4, or 32
  int32_t lanes;               ///< fine channels in use
  const int64_t* tap_offsets;  ///< voxels (at pitch 32: of sixteen floats)
  int32_t num_taps;
  int64_t length;  ///< voxels
  /// Pitch 32, and few coarse channels: rows of `length` voxels summed in the same registers.
  int64_t rows = 1;
  int64_t fine_row_pitch;    ///< floats
  int64_t coarse_row_pitch;  ///< floats
  float*
      sums[2];  ///< per coarse block: [tap][16, or 4 at pitch 4][16]; lanes >= `lanes`: any value
  /// Pitch 4 only: where the coarse voxels of the next plane or row will be read, asked for in
  /// passing; nullptr: none.
  const float* next_coarse;
  /// Pitch 16 and 32: lines that will be read soon, asked for in passing.
  LineRange ahead;
};
WM_DECLARE_PER_ISA(void add_weight_gradient_run(const WeightGradientRun& run);)
WM_DECLARE_PER_ISA(int32_t weight_gradient_max_coarse();)

}  // namespace wholemount
