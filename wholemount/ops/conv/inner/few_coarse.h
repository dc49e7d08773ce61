#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// Weight gradient of one blocked fine block against 1 to 4 coarse channels, for taps that come as
/// three neighbours along the row, over rows of `length` coarse voxels:
///   sums[tap][channel][16] += sum over rows, i of coarse(row, i)[channel] * fine(row, i + tap)
/// with the sixteen fine channels in a vector's lanes. Fine rows are read by pointers: row r of the
/// taps 3 t .. 3 t + 2 is lines[run_lines[t] + r * line_step] + 16 * first, where the voxel lies
/// that the first of the three meets for coarse voxel 0. Summed in registers from zero, then added
/// to memory.
struct FewCoarseLines {
  const float* const* lines;
  const int32_t* run_lines;
  int64_t line_step;
  int64_t first;  ///< voxels
  /// The fine voxel before the rows' first, the one behind their last is zero and not to be read.
  bool first_outside;
  bool last_outside;
  const float* coarse;
  int64_t coarse_step;           ///< floats from a voxel to the next
  int64_t coarse_channel_pitch;  ///< floats from a channel to the next
  int64_t coarse_row_pitch;      ///< floats
  int32_t channels;              ///< 1 .. 4
  int32_t num_taps;              ///< a multiple of nine
  int64_t length;                ///< voxels
  int64_t rows;
  float* sums;
  LineRange ahead;  ///< will be read soon, asked for in passing
};
WM_DECLARE_PER_ISA(void add_few_coarse_lines(const FewCoarseLines& run);)
/// Whether this instruction set has add_few_coarse_lines(); it may not be called elsewhere.
WM_DECLARE_PER_ISA(bool few_coarse_takes_lines();)

}  // namespace wholemount
