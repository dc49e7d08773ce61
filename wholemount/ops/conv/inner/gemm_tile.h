#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// Voxels [first, last) times a panel of weights, for one or two columns of sixteen outputs:
///   out[column](v) = bias[column] + sum over streams s, lanes l of
///                    weights[s][l][column] * streams[s][v * pitch + l]
/// A stream is a channel block of the sources at one kernel position. Outputs go straight from
/// registers to where they belong.
struct GemmRun {
  const float* const* streams;  ///< voxel 0 of each
  int32_t num_streams;
  int32_t pitch;           ///< floats from a voxel to the next: 16, packed in scratch, or 32
  const int32_t* lanes;    ///< channels in use, of each stream
  const float* weights;    ///< [stream][lane][column][16]
  int32_t num_columns;     ///< 1 or 2 (2 only where gemm_max_columns() is 2)
  const float* bias;       ///< [column][16]
  float* out[2];           ///< voxel offset 0 of each column; nullptr: not wanted
  const int64_t* offsets;  ///< floats, of each voxel from 0 to last
  int64_t first;
  int64_t last;
  bool stream;  ///< write past the caches; all outputs are 64-byte aligned
  /// Pitch 32 only, 0: none. The lines this many floats ahead are asked for in passing: those of
  /// the next row, which would otherwise arrive while everything waits.
  int64_t prefetch;
};
/// At pitch 16 reads (and drops) up to gemm_tile_voxels() voxels behind the last one; at pitch 32
/// nothing. The last run of a task is to be followed by stream_fence().
WM_DECLARE_PER_ISA(void gemm_run(const GemmRun& run);)
WM_DECLARE_PER_ISA(int32_t gemm_max_columns();)
/// Runs of a multiple of this many voxels waste nothing.
WM_DECLARE_PER_ISA(int64_t gemm_tile_voxels();)

}  // namespace wholemount
