#include "wholemount/ops/conv/inner/multiply_add.h"
#include "wholemount/ops/conv/inner/row_winograd.h"

namespace wholemount::WM_ISA {

namespace {

constexpr int kRows = static_cast<int>(kRowsTogether);

/// The sums of kRows rows and kTiles tiles at one point. A broadcast value of a source row meets
/// the weights of all destination rows it belongs to: loads are half of the multiply-adds. `offset`
/// of the first tile's point in the source rows, in floats.
template <int kTaps, int kTiles>
void sum_point(const RowWinogradProduct& product, int64_t offset, const float* weights, float* out,
               int64_t row_pitch, int64_t tile_pitch) {
  constexpr int kSourceRows = kRows + kTaps - 1;
  F16 sum[kRows][kTiles];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 6
    for (int tile = 0; tile < kTiles; ++tile) sum[row][tile] = F16::zero();
  }
  const float* const* rows = product.rows;
  for (int32_t plane = 0; plane < product.planes; ++plane) {
    int64_t from = offset;
    for (int32_t channel = 0; channel < product.channels; ++channel) {
#if defined(__AVX512F__)
      F16 weight[kTaps];
#pragma GCC unroll 5
      for (int tap = 0; tap < kTaps; ++tap) weight[tap] = load_in_order(weights + tap * 16);
#endif
#pragma GCC unroll 8
      for (int y = 0; y < kSourceRows; ++y) {
        const float* x = rows[y] + from;
        const int first = y - kTaps + 1 > 0 ? y - kTaps + 1 : 0;
        const int last = y < kRows - 1 ? y : kRows - 1;
#pragma GCC unroll 6
        for (int tile = 0; tile < kTiles; ++tile) {
#if defined(__AVX512F__)
          const Broadcast value = broadcast_in_order(x + tile * kRowRecord);
#pragma GCC unroll 4
          for (int row = first; row <= last; ++row) {
            multiply_add_in_order(sum[row][tile], weight[y - row], value);
          }
#else
          const F16 value = F16::set1(x[tile * kRowRecord]);
#pragma GCC unroll 4
          for (int row = first; row <= last; ++row) {
            multiply_add_vector(sum[row][tile], value, weights + (y - row) * 16);
          }
#endif
        }
      }
      from += product.channel_pitch;
      weights += kTaps * 16;
    }
    rows += kSourceRows;
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 6
    for (int tile = 0; tile < kTiles; ++tile) {
      sum[row][tile].store(out + row * row_pitch + tile * tile_pitch);
    }
  }
}

/// kTiles tiles from `first_tile` on.
template <int kTaps, int kTiles>
void sum_tiles(const RowWinogradProduct& product, int32_t point, int64_t first_tile) {
  const int64_t tile_pitch = int64_t{product.points} * 16;
  const int64_t point_weights = int64_t{product.planes} * product.channels * kTaps * 16;
  sum_point<kTaps, kTiles>(product, point + first_tile * kRowRecord,
                           product.weights + point * point_weights,
                           product.products + first_tile * tile_pitch + point * 16,
                           product.tiles * tile_pitch, tile_pitch);
}

template <int kTaps>
void sum_all_tiles(const RowWinogradProduct& product, int32_t point) {
#if defined(__AVX512F__)
  switch (product.tiles) {
    case 1:
      return sum_tiles<kTaps, 1>(product, point, 0);
    case 2:
      return sum_tiles<kTaps, 2>(product, point, 0);
    case 3:
      return sum_tiles<kTaps, 3>(product, point, 0);
    case 4:
      return sum_tiles<kTaps, 4>(product, point, 0);
    case 5:
      return sum_tiles<kTaps, 5>(product, point, 0);
    default:
      return sum_tiles<kTaps, 6>(product, point, 0);
  }
#else
  // Four sums of two registers each and a broadcast value; weights come with the multiply-adds.
  for (int32_t tile = 0; tile < product.tiles; ++tile) sum_tiles<kTaps, 1>(product, point, tile);
#endif
}

}  // namespace

void row_winograd_product(const RowWinogradProduct& product) {
  for (int32_t point = 0; point < product.points; ++point) {
    // Here, not in a function: one that only asks for lines GCC takes for one without effect.
    const RowsAhead& ahead = product.ahead;
    for (int32_t i = point; i < ahead.rows * ahead.channels; i += product.points) {
      const float* row =
          ahead.begin + i / ahead.rows * ahead.channel_pitch + i % ahead.rows * ahead.row_pitch;
      for (int64_t k = 0; k < ahead.count; k += 16) __builtin_prefetch(row + k, 0, 2);
      __builtin_prefetch(row + ahead.count - 1, 0, 2);
    }
    product.row_taps == 3 ? sum_all_tiles<3>(product, point) : sum_all_tiles<5>(product, point);
  }
}

}  // namespace wholemount::WM_ISA
