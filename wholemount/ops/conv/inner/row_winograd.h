#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

struct LaneMoments;

/// Winograd along w alone, for convolutions from a planar source of 1 to 4 channels:
///   y = A^T (sum over planes, rows and channels of (G g) * (B^T x))
/// Tiles are named by outputs and taps along w. A transformed row of a channel is one record of
/// sixteen floats a tile, a point to a float and zeros behind the last; weights, products and
/// results have sixteen destination channels to a vector.
enum class RowTile : int32_t { f2k3, f4k3, f2k5, f4k5, f6k5 };

inline constexpr int64_t kRowRecord = 16;  ///< floats
/// Destination rows and tiles that are computed together: as many sums as fill the registers of
/// AVX-512 beside the weights of four rows and a broadcast value.
inline constexpr int64_t kRowsTogether = 4;
inline constexpr int64_t kRowTilesTogether = 6;

/// The columns of B^T, a record each: row_tile's points of them.
WM_DECLARE_PER_ISA(void row_winograd_columns(RowTile tile, float* columns);)
/// G g of sixteen filters: `taps` [kw][16] to points `pitch` floats apart.
WM_DECLARE_PER_ISA(void row_winograd_filter(RowTile tile, const float* taps, float* points,
                                            int64_t pitch);)

/// B^T along a row of each channel of a planar source.
struct RowWinogradInput {
  RowTile tile;
  const float* columns;   ///< of row_winograd_columns()
  const float* source;    ///< first voxel that exists, of the first channel
  int64_t channel_pitch;  ///< floats
  int32_t channels;
  int64_t zeros_before;  ///< voxels before the first that exists
  int64_t count;         ///< voxels that exist; the rest of the tiles' voxels are zero
  bool transformed;      ///< read through scale, shift and slope
  const float* scale;    ///< a channel each; nullptr: 1
  const float* shift;    ///< likewise; nullptr: 0
  float slope;
  int32_t num_tiles;
  float* buffer;          ///< row_winograd_buffer() floats
  float* records;         ///< [channel][tile]
  int64_t records_pitch;  ///< floats from a channel to the next
};
/// For tiles of so many outputs in all.
constexpr int64_t row_winograd_buffer(int64_t outputs) { return outputs + 16; }
WM_DECLARE_PER_ISA(void row_winograd_input(const RowWinogradInput& input);)

/// Rows that will be read soon, of every channel, asked for in passing.
struct RowsAhead {
  const float* begin;  ///< of the first row and channel
  int64_t row_pitch;
  int64_t channel_pitch;
  int32_t rows;  ///< 0: none
  int32_t channels;
  int64_t count;  ///< floats of a row
};

/// kRowsTogether x `tiles` products at all points, summed over planes, channels and rows.
struct RowWinogradProduct {
  /// [plane][source row]: the records of the first tile and channel. A plane has row_taps +
  /// kRowsTogether - 1 rows, which destination row r meets from its row r on.
  const float* const* rows;
  int64_t channel_pitch;  ///< floats
  int32_t planes;
  int32_t channels;
  int32_t row_taps;      ///< 3 or 5
  int32_t points;        ///< per tile
  int32_t tiles;         ///< 1 .. kRowTilesTogether
  const float* weights;  ///< [point][plane][channel][row tap][16]
  float* products;       ///< [row][tile][point][16]
  RowsAhead ahead;
};
WM_DECLARE_PER_ISA(void row_winograd_product(const RowWinogradProduct& product);)

/// A^T of the products of row_winograd_product(), plus bias: the rows and columns that exist.
struct RowWinogradOutput {
  RowTile tile;
  const float* products;
  int64_t tiles;  ///< of a row of `products`
  int64_t rows;
  int64_t columns;
  const float* bias;   ///< sixteen
  float* destination;  ///< first voxel
  int64_t row_pitch;   ///< floats
  bool stream;  ///< past the caches; `destination` and the pitch must be multiples of 64 bytes, and
                ///< stream_fence() must follow
  LaneMoments* moments;  ///< which the outputs are joined to; nullptr: not wanted
};
WM_DECLARE_PER_ISA(void row_winograd_output(const RowWinogradOutput& output);)

}  // namespace wholemount
