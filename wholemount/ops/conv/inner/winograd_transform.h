#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/winograd_tile.h"

namespace wholemount {

struct LaneMoments;

/// Transforms of tiles that follow each other along w (a run), for one block of sixteen channels,
/// in two steps: along d and h column by column, so that neighbouring tiles share what they share
/// of the input, and along w tile by tile. In between, a (d, h) frequency pair has its columns one
/// behind another, `row_pitch` floats from a pair to the next; pairs are ordered [d][h]. Only these
/// columns travel through the L2 cache: the products of one pair's frequencies along w are made
/// while they are in L1.

/// B^T along d and h: the input columns of a run, neighbouring tiles overlap by taps - 1 of them.
struct WinogradInputColumns {
  const void* source;       ///< first input voxel of the first tile; may lie outside the tensor
  bool bfloat16;            ///< what the source holds; else float32
  int64_t plane_pitch;      ///< elements
  int64_t voxel_row_pitch;  ///< floats
  int64_t d_begin, d_end;   ///< planes of the tile that exist; all else is zero and never read
  int64_t h_begin, h_end;   ///< rows of the tile that exist
  int64_t w_begin, w_end;   ///< columns, counted from `source`, that exist
  int64_t num_columns;
  bool transformed;    ///< read through scale, shift and slope
  const float* scale;  ///< nullptr: 1
  const float* shift;  ///< nullptr: 0
  float slope;
  float* destination;
  int64_t row_pitch;
};
WM_DECLARE_PER_ISA(void winograd_input_columns(WinogradTile tile,
                                               const WinogradInputColumns& columns);)

/// A along d and h: the columns of the output gradients of a run.
struct WinogradCoarseColumns {
  const float* source;  ///< first output voxel of the first tile
  int64_t plane_pitch;
  int64_t voxel_row_pitch;
  int64_t planes;    ///< that exist of the tile's; all else is zero and never read
  int64_t rows;      ///< that exist of the tile's
  int64_t existing;  ///< columns that exist
  int64_t num_columns;
  bool transformed;
  const float* scale;
  const float* shift;
  float slope;
  double* sums;  ///< sixteen, to which the columns are added; nullptr: not wanted
  float* destination;
  int64_t row_pitch;
};
WM_DECLARE_PER_ISA(void winograd_coarse_columns(WinogradTile tile,
                                                const WinogradCoarseColumns& columns);)

/// A^T along d and h, plus bias: the columns that exist of the outputs of a run.
struct WinogradOutputColumns {
  const float* source;
  int64_t row_pitch;
  int64_t num_columns;
  const float* bias;   ///< sixteen
  float* destination;  ///< first output voxel of the first tile
  int64_t plane_pitch;
  int64_t voxel_row_pitch;
  int64_t planes;  ///< that exist of the tile's
  int64_t rows;    ///< that exist of the tile's
  bool stream;     ///< past the caches; `destination` and pitches must be multiples of 64 bytes
  /// The same voxels of a tensor whose leaky rectifier's derivative multiplies the outputs (1 where
  /// > 0, else the slope); nullptr: none.
  const void* rectified;
  bool rectified_bfloat16;  ///< what that tensor holds; else float32
  int64_t rectified_plane_pitch;
  int64_t rectified_row_pitch;
  float rectified_slope;
  LaneMoments* moments;  ///< which the outputs are joined to; nullptr: not wanted, nor if rectified
};
WM_DECLARE_PER_ISA(void winograd_output_columns(WinogradTile tile,
                                                const WinogradOutputColumns& columns);)

/// Columns of one (d, h) frequency pair to or from frequencies along w: vector (frequency k, tile
/// t) lies at k * frequency_pitch + t * 16 floats.
struct WinogradAxisPass {
  const float* source;
  float* destination;
  int64_t frequency_pitch;  ///< floats
  int64_t num_tiles;
};
/// B^T: the tiles of a run, which start `outputs` columns apart and overlap.
WM_DECLARE_PER_ISA(void winograd_input_axis(WinogradTile tile, const WinogradAxisPass& pass);)
/// A: `outputs` columns a tile.
WM_DECLARE_PER_ISA(void winograd_coarse_axis(WinogradTile tile, const WinogradAxisPass& pass);)
/// A^T: frequencies to `outputs` columns a tile.
WM_DECLARE_PER_ISA(void winograd_output_axis(WinogradTile tile, const WinogradAxisPass& pass);)

/// G g G^T of sixteen filters: `taps` [kd][kh][kw][16] to frequencies.
WM_DECLARE_PER_ISA(void winograd_filter(WinogradTile tile, const float* taps, float* frequencies,
                                        int64_t frequency_pitch);)
/// G^T u G of sixteen filters; tap k goes to taps + k * tap_pitch.
WM_DECLARE_PER_ISA(void winograd_filter_adjoint(WinogradTile tile, const float* frequencies,
                                                int64_t frequency_pitch, float* taps,
                                                int64_t tap_pitch);)

}  // namespace wholemount
