#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

struct LaneMoments;

/// Consecutive source channel blocks of one pitch, in scratch.
struct CorrelationChunk {
  const float* source;  ///< first block: voxel to which tap offset 0 of output (0, 0) points
  int64_t block_pitch;  ///< floats from a block to the next
  int32_t num_blocks;
  int32_t pitch;         ///< floats a voxel takes: 16, or 4
  const int32_t* lanes;  ///< channels of each block
  const float* weights;  ///< [block][tap][lane][destination block][16]
};

/// Where one destination block of the plane goes.
struct CorrelationDestination {
  float* origin;          ///< output (0, 0) of the (first) plane; nullptr: not wanted
  int64_t plane_pitch;    ///< floats from an output plane to the next
  int64_t row_pitch;      ///< floats from an output row to the next
  int64_t voxel_step;     ///< floats from an output voxel to the next
  int64_t channel_pitch;  ///< plain tensors: floats from a channel to the next
  int32_t channels;       ///< plain tensors: channels to store
  bool plain;
  bool stream;  ///< write past the caches; blocked tensors, origin 64-byte aligned
  /// correlate_plane(): which the outputs are joined to; blocked tensors; nullptr: not wanted.
  LaneMoments* moments;
};

/// rows x columns outputs of a plane for one or two destination blocks:
///   out(r, c) = bias + sum over blocks, taps, lanes of weights * source(r * row_pitch + c +
///   offset)
/// Rows and columns are walked as one flat run, so that narrow images fill the register tiles; the
/// columns between `columns` and `row_pitch` are computed and dropped.
struct CorrelationPlane {
  const CorrelationChunk* chunks;
  int32_t num_chunks;
  const int64_t* tap_offsets;  ///< voxels
  int32_t num_taps;
  /// 3 or 5 when the taps come in runs of so many neighbouring voxels (rising offsets), else 1.
  int32_t tap_run;
  const float* bias;         ///< [destination block][16]
  int32_t num_destinations;  ///< 1 or 2 (2 only where correlation_max_destinations() is 2)
  /// 0, or 1 to 3: of eight channels each, all that the blocked destinations have. A register then
  /// holds the sums of even and of odd source lanes in turn, for eight channels: no lane is wasted
  /// on the second half of a block that has none, and each value read serves all halves. Sources
  /// are blocked and have even `lanes`; weights and bias are [...][pair of lanes][half][8 channels]
  /// [even, odd lane] (bias: 0 for the odd ones). Only where correlation_takes_halves().
  int32_t halves;
  CorrelationDestination destinations[2];
  int64_t row_pitch;  ///< voxels
  int64_t rows;
  int64_t columns;
  /// correlate_rows() takes several planes, whose sources are `plane_pitch` voxels apart.
  int64_t planes;
  int64_t plane_pitch;
  /// Sums between chunks: all tiles of the plane when num_chunks > 1, else one tile; a tile takes
  /// correlation_tile_voxels() * max(num_destinations, halves) * 16 floats.
  float* accumulators;
  /// correlate_plane(): what the next plane is made from, a step for each tile, block of blocked
  /// sources and tap (not in runs); may be null.
  LinesAhead* ahead;
};
WM_DECLARE_PER_ISA(void correlate_plane(const CorrelationPlane& plane);)
/// Destination blocks the register tile of this instruction set takes at once.
WM_DECLARE_PER_ISA(int32_t correlation_max_destinations();)
/// Whether this instruction set knows CorrelationPlane::halves.
WM_DECLARE_PER_ISA(bool correlation_takes_halves();)
/// Voxels of the register tile. Up to this many voxels behind the last needed one are read (and
/// dropped), so scratch must extend as far.
WM_DECLARE_PER_ISA(int64_t correlation_tile_voxels(int32_t num_destinations, int32_t halves,
                                                   int32_t tap_run);)

}  // namespace wholemount
