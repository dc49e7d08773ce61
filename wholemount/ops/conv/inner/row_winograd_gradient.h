#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/row_winograd.h"

namespace wholemount {

/// The weight gradient by Winograd along w: dg = G^T sum over tiles of (A dy) * (B^T x), for
/// kRowsTogether rows of dy at a time.

/// A along rows of a block of sixteen coarse channels.
struct RowWinogradCoarse {
  RowTile tile;
  const float* source;  ///< first voxel of the first row
  int64_t row_pitch;    ///< floats
  int64_t rows;         ///< that exist; those up to kRowsTogether are zero
  int64_t columns;      ///< voxels of the tiles that exist; the rest is zero
  int64_t tiles;
  bool transformed;    ///< read through scale, shift and slope
  const float* scale;  ///< nullptr: 1
  const float* shift;  ///< nullptr: 0
  float slope;
  double* sums;        ///< sixteen, to which the voxels are added; nullptr: not wanted
  float* destination;  ///< [point][tile][row][16]
};
WM_DECLARE_PER_ISA(void row_winograd_coarse(const RowWinogradCoarse& coarse);)

/// sums[point][plane][channel][row tap][16] += sum over tiles and rows of coarse * fine. Summed in
/// registers from zero, then added to memory.
struct RowWinogradGradient {
  const float* const* rows;  ///< as in RowWinogradProduct
  int64_t channel_pitch;     ///< floats
  int32_t planes;
  int32_t channels;
  int32_t row_taps;     ///< 3 or 5
  int32_t points;       ///< per tile
  int32_t outputs;      ///< per tile
  int32_t tiles;        ///< 1 .. kRowTilesTogether
  const float* coarse;  ///< as row_winograd_coarse() left it
  float* sums;
  /// Where coarse voxels will be read next, kRowsTogether rows, asked for in passing; nullptr:
  /// none.
  const float* next_coarse;
  int64_t coarse_row_pitch;
};
WM_DECLARE_PER_ISA(void row_winograd_gradient(const RowWinogradGradient& gradient);)

/// G^T of sixteen filters: points `pitch` floats apart to taps `tap_pitch` floats apart.
WM_DECLARE_PER_ISA(void row_winograd_filter_adjoint(RowTile tile, const float* points,
                                                    int64_t pitch, float* taps, int64_t tap_pitch);)

}  // namespace wholemount
