#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/winograd_tile.h"

namespace wholemount {

/// Transforms of tiles that follow each other along w, for one block of sixteen channels. In the
/// frequency domain vector (frequency f, tile t) lies at f * frequency_pitch + t * 16 floats;
/// frequencies are ordered [d][h][w].

/// Inputs of the tiles: B^T x B on each axis, neighbouring tiles overlap by taps - 1
/// voxels.
struct WinogradInputRow {
  const float* source;     ///< first input voxel of the first tile; may lie outside the tensor
  int64_t plane_pitch;     ///< floats
  int64_t row_pitch;       ///< floats
  int64_t d_begin, d_end;  ///< planes of the tile that exist; all else is zero and never read
  int64_t h_begin, h_end;  ///< rows of the tile that exist
  int64_t w_begin, w_end;  ///< columns, counted from `source`, that exist
  int64_t num_tiles;
  bool transformed;    ///< read through scale, shift and slope
  const float* scale;  ///< nullptr: 1
  const float* shift;  ///< nullptr: 0
  float slope;
  float* destination;
  int64_t frequency_pitch;  ///< floats
};
WM_DECLARE_PER_ISA(void winograd_input_row(WinogradTile tile, const WinogradInputRow& row);)

/// Outputs of the tiles: A^T m A on each axis, plus bias.
struct WinogradOutputRow {
  const float* source;
  int64_t frequency_pitch;  ///< floats
  int64_t num_tiles;
  const float* bias;   ///< sixteen
  float* destination;  ///< first output voxel of the first tile
  int64_t plane_pitch;
  int64_t row_pitch;
  int64_t planes;   ///< that exist of the tile's
  int64_t rows;     ///< that exist of the tile's
  int64_t columns;  ///< that exist of the whole run's
  bool stream;      ///< past the caches; `destination` and pitches must be multiples of 64 bytes
};
WM_DECLARE_PER_ISA(void winograd_output_row(WinogradTile tile, const WinogradOutputRow& row);)

/// Output gradients of the tiles: A dy A^T on each axis.
struct WinogradCoarseRow {
  const float* source;  ///< first output voxel of the first tile
  int64_t plane_pitch;
  int64_t row_pitch;
  int64_t planes;   ///< that exist of the tile's; all else is zero and never read
  int64_t rows;     ///< that exist of the tile's
  int64_t columns;  ///< that exist of the whole run's
  int64_t num_tiles;
  bool transformed;
  const float* scale;
  const float* shift;
  float slope;
  float* destination;
  int64_t frequency_pitch;
};
WM_DECLARE_PER_ISA(void winograd_coarse_row(WinogradTile tile, const WinogradCoarseRow& row);)

/// G g G^T of sixteen filters: `taps` [kd][kh][kw][16] to frequencies.
WM_DECLARE_PER_ISA(void winograd_filter(WinogradTile tile, const float* taps, float* frequencies,
                                        int64_t frequency_pitch);)
/// G^T u G of sixteen filters; tap k goes to taps + k * tap_pitch.
WM_DECLARE_PER_ISA(void winograd_filter_adjoint(WinogradTile tile, const float* frequencies,
                                                int64_t frequency_pitch, float* taps,
                                                int64_t tap_pitch);)

}  // namespace wholemount
