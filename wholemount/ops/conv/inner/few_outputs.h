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
  /// Taps that come as three neighbours along the row, where few_outputs_takes_lines(): rows by
  /// pointers, to the voxel that the first tap meets for the row's first output. Row r of the run
  /// of taps t, block b: lines[b * block_lines + run_lines[t] + r * line_step]. Else nullptr.
  const float* const* lines;
  int64_t block_lines;
  const int32_t* run_lines;
  int64_t line_step;
  int64_t line_voxel;
  /// With lines: the voxel before the first, the one behind the last column's taps is zero and not
  /// to be read (then there are at least sixteen columns).
  bool first_outside;
  bool last_outside;
  /// Without lines.
  const float* const* sources;  ///< per block: voxel to which tap offset 0 of output (0, 0) points
  const int64_t* tap_offsets;   ///< voxels
  int64_t row_pitch;            ///< voxels
  int32_t num_blocks;
  int32_t num_taps;
  const float* weights;  ///< [block][tap][channel][16], zero beyond the block's channels
  int32_t channels;      ///< 1 .. 4
  const float* bias;     ///< [channels]
  float* out;            ///< output (0, 0) of channel 0
  int64_t out_row_pitch;
  int64_t out_voxel_step;
  int64_t out_channel_pitch;
  int64_t rows;
  int64_t columns;  ///< up to kFewOutputsSlack voxels behind the last row's are read (not in place)
  /// What the next plane is made from, a step for sixteen voxels, with lines of each block; or
  /// null.
  LinesAhead* ahead;
};
WM_DECLARE_PER_ISA(void correlate_few_outputs(const FewOutputsPlane& plane);)
/// Whether this instruction set knows FewOutputsPlane::lines.
WM_DECLARE_PER_ISA(bool few_outputs_takes_lines();)

inline constexpr int64_t kFewOutputsSlack = 16;

}  // namespace wholemount
