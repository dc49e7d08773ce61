#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// rows x columns outputs of 1 to 4 channels of one plane, from blocked sources in scratch:
///   out[c](r, v) = bias[c] + sum over blocks, taps, lanes of weights * source(r * row_pitch + v +
///   offset)[lane]
/// A vector holds the sixteen channels of a source voxel, and each output is a sum over its lanes:
/// with the outputs' channels side by side three quarters of each vector and more would be empty.
struct FewOutputsPlane {
  const float* const* sources;  ///< per block: voxel to which tap offset 0 of output (0, 0) points
  int32_t num_blocks;
  const int64_t* tap_offsets;  ///< voxels
  int32_t num_taps;
  bool runs_of_three;    ///< taps come as three neighbours along the row, by rising offset
  const float* weights;  ///< [block][tap][channel][16], zero beyond the block's channels
  int32_t channels;      ///< 1 .. 4
  const float* bias;     ///< [channels]
  float* out;            ///< output (0, 0) of channel 0
  int64_t out_row_pitch;
  int64_t out_voxel_step;
  int64_t out_channel_pitch;
  int64_t row_pitch;  ///< voxels; kFewOutputsSlack voxels behind the last row are read
  int64_t rows;
  int64_t columns;
  LinesAhead* ahead;  ///< what the next plane is made from, a step for sixteen voxels; or null
};
WM_DECLARE_PER_ISA(void correlate_few_outputs(const FewOutputsPlane& plane);)

inline constexpr int64_t kFewOutputsSlack = 16;

}  // namespace wholemount
