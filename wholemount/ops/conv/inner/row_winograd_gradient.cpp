#include "wholemount/ops/conv/inner/row_winograd_gradient.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

constexpr int kRows = static_cast<int>(kRowsTogether);

/// Lines asked for with each tile, by their distance from the tile's first voxel.
constexpr int kLinesAhead = 3;
struct TileLines {
  const float* begin;
  int64_t tile_pitch;
  int64_t offset[kLinesAhead];
};

/// The sums at one point, in one plane, of kChannels channels: a coarse vector of each row stays in
/// registers, and a broadcast value meets all rows it belongs to.
template <int kTaps, int kChannels>
void sum_point(const RowWinogradGradient& gradient, const float* const* rows, int64_t offset,
               const float* coarse, const TileLines& lines, float* sums) {
  constexpr int kSourceRows = kRows + kTaps - 1;
  F16 sum[kChannels][kTaps];
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 5
    for (int tap = 0; tap < kTaps; ++tap) sum[c][tap] = F16::zero();
  }
  const float* row[kSourceRows];
#pragma GCC unroll 8
  for (int y = 0; y < kSourceRows; ++y) row[y] = rows[y] + offset;
  const int64_t pitch = gradient.channel_pitch;
  const float* ahead = lines.begin;
  for (int64_t at = 0; at < gradient.tiles * kRowRecord; at += kRowRecord) {
#pragma GCC unroll 3
    for (int line = 0; line < kLinesAhead; ++line) {
      __builtin_prefetch(ahead + lines.offset[line], 0, 2);
    }
    ahead += lines.tile_pitch;
#if defined(__AVX512F__)
    F16 factor[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) factor[r] = load_in_order(coarse + r * 16);
#endif
#pragma GCC unroll 8
    for (int y = 0; y < kSourceRows; ++y) {
      const int first = y - kTaps + 1 > 0 ? y - kTaps + 1 : 0;
      const int last = y < kRows - 1 ? y : kRows - 1;
      const float* x = row[y] + at;
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) {
#if defined(__AVX512F__)
        const Broadcast value = broadcast_in_order(x + c * pitch);
#pragma GCC unroll 4
        for (int r = first; r <= last; ++r) {
          multiply_add_in_order(sum[c][y - r], factor[r], value);
        }
#else
        const F16 value = F16::set1(x[c * pitch]);
#pragma GCC unroll 4
        for (int r = first; r <= last; ++r) {
          multiply_add_vector(sum[c][y - r], value, coarse + r * 16);
        }
#endif
      }
    }
    coarse += kRows * 16;
  }
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 5
    for (int tap = 0; tap < kTaps; ++tap) {
      float* out = sums + (c * kTaps + tap) * 16;
      (F16::load(out) + sum[c][tap]).store(out);
    }
  }
}

template <int kTaps>
void sum_channels(const RowWinogradGradient& gradient, const float* const* rows, int64_t offset,
                  const float* coarse, const TileLines& lines, float* sums) {
#if defined(__AVX512F__)
  switch (gradient.channels) {
    case 1:
      return sum_point<kTaps, 1>(gradient, rows, offset, coarse, lines, sums);
    case 2:
      return sum_point<kTaps, 2>(gradient, rows, offset, coarse, lines, sums);
    case 3:
      return sum_point<kTaps, 3>(gradient, rows, offset, coarse, lines, sums);
    default:
      return sum_point<kTaps, 4>(gradient, rows, offset, coarse, lines, sums);
  }
#else
  // Five sums of two registers each and a broadcast value.
  for (int32_t c = 0; c < gradient.channels; ++c) {
    sum_point<kTaps, 1>(gradient, rows, offset + c * gradient.channel_pitch, coarse, lines,
                        sums + c * kTaps * 16);
  }
#endif
}

}  // namespace

void row_winograd_gradient(const RowWinogradGradient& gradient) {
  const int64_t point_coarse = int64_t{gradient.tiles} * kRows * 16;
  const int64_t plane_sums = int64_t{gradient.channels} * gradient.row_taps * 16;
  const int32_t lines_of_tile = kRows * gradient.outputs;
  float* sums = gradient.sums;
  for (int32_t point = 0; point < gradient.points; ++point) {
    const float* coarse = gradient.coarse + point * point_coarse;
    // Without coarse rows ahead the line at hand is asked for once more, which costs nothing.
    TileLines lines{coarse, 0, {}};
    if (gradient.next_coarse != nullptr) {
      lines.begin = gradient.next_coarse;
      lines.tile_pitch = int64_t{gradient.outputs} * 16;
      for (int32_t i = 0; i < kLinesAhead; ++i) {
        const int32_t line = (point * kLinesAhead + i) % lines_of_tile;
        lines.offset[i] =
            line / gradient.outputs * gradient.coarse_row_pitch + line % gradient.outputs * 16;
      }
    }
    const float* const* rows = gradient.rows;
    for (int32_t plane = 0; plane < gradient.planes; ++plane) {
      gradient.row_taps == 3 ? sum_channels<3>(gradient, rows, point, coarse, lines, sums)
                             : sum_channels<5>(gradient, rows, point, coarse, lines, sums);
      rows += kRows + gradient.row_taps - 1;
      sums += plane_sums;
    }
  }
}

}  // namespace wholemount::WM_ISA
