#include "wholemount/base/simd/f16_shuffle.h"
#include "wholemount/base/simd/piece_moments.h"
#include "wholemount/ops/conv/inner/row_winograd.h"
#include "wholemount/ops/conv/inner/row_winograd_axes.h"

namespace wholemount::WM_ISA {

namespace {

template <class Axis>
struct RowTransforms {
  static constexpr int kPoints = Axis::kPoints;
  static constexpr int kOutputs = Axis::kOutputs;
  static constexpr int kTaps = Axis::kTaps;

  static void columns(float* columns) {
    // Lane i of the input is 1 at voxel i alone, hence lane i of a point is its coefficient there.
    F16 x[kPoints];
    F16 v[kPoints];
    for (int i = 0; i < kPoints; ++i) {
      float unit[16] = {};
      unit[i] = 1.0F;
      x[i] = F16::load(unit);
    }
    Axis::input(x, v);
    for (int i = 0; i < kPoints * 16; ++i) columns[i] = 0.0F;
    for (int point = 0; point < kPoints; ++point) {
      float coefficients[16];
      v[point].store(coefficients);
      for (int i = 0; i < kPoints; ++i) columns[i * kRowRecord + point] = coefficients[i];
    }
  }

  static void filter(const float* taps, float* points, int64_t pitch) {
    F16 g[kTaps];
    F16 u[kPoints];
    for (int i = 0; i < kTaps; ++i) g[i] = F16::load(taps + i * 16);
    Axis::filter(g, u);
    for (int i = 0; i < kPoints; ++i) u[i].store(points + i * pitch);
  }

  static void output_tile(const float* products, const F16& bias, F16 (&y)[kOutputs]) {
    F16 m[kPoints];
#pragma GCC unroll 10
    for (int i = 0; i < kPoints; ++i) m[i] = F16::load(products + i * 16);
    if constexpr (requires { Axis::output_onto(bias, m, y); }) {
      Axis::output_onto(bias, m, y);
    } else {
      Axis::output(m, y);
#pragma GCC unroll 6
      for (int i = 0; i < kOutputs; ++i) y[i] = y[i] + bias;
    }
  }
  template <bool kStream, bool kMoments>
  static void output_rows(const RowWinogradOutput& output) {
    const F16 bias = F16::load(output.bias);
    PieceMoments piece{F16::zero(), F16::zero(), F16::zero()};
    const float* products = output.products;
    for (int64_t row = 0; row < output.rows; ++row) {
      float* out = output.destination + row * output.row_pitch;
      for (int64_t column = 0; column < output.tiles * kOutputs; column += kOutputs) {
        F16 y[kOutputs];
        output_tile(products, bias, y);
        if (kMoments) {
          if (row == 0 && column == 0) piece.first = y[0];
#pragma GCC unroll 6
          for (int k = 0; k < kOutputs; ++k) {
            if (column + k >= output.columns) continue;
            const F16 deviation = y[k] - piece.first;
            piece.sum = piece.sum + deviation;
            piece.squares = fma(deviation, deviation, piece.squares);
          }
        }
        if (column + kOutputs <= output.columns) {
#pragma GCC unroll 6
          for (int k = 0; k < kOutputs; ++k) {
            kStream ? y[k].stream(out + k * 16) : y[k].store(out + k * 16);
          }
        } else {
          for (int k = 0; k < output.columns - column; ++k) y[k].store(out + k * 16);
        }
        products += kPoints * 16;
        out += kOutputs * 16;
      }
    }
    if (kMoments) join_piece(piece, output.rows * output.columns, *output.moments);
  }
  static void output(const RowWinogradOutput& output) {
    if (output.moments != nullptr) {
      output.stream ? output_rows<true, true>(output) : output_rows<false, true>(output);
    } else {
      output.stream ? output_rows<true, false>(output) : output_rows<false, false>(output);
    }
  }

  /// The records of kTiles tiles whose voxels lie at x: two chains each, for the latency of the
  /// multiply-adds.
  template <int kTiles>
  static void records_of_tiles(const F16 (&column)[kPoints], const float* x, float* records) {
    F16 sum[kTiles][2];
#pragma GCC unroll 10
    for (int i = 0; i < kPoints; ++i) {
#pragma GCC unroll 3
      for (int tile = 0; tile < kTiles; ++tile) {
        const F16 voxel = F16::set1(x[tile * kOutputs + i]);
        sum[tile][i % 2] = i < 2 ? column[i] * voxel : fma(column[i], voxel, sum[tile][i % 2]);
      }
    }
#pragma GCC unroll 3
    for (int tile = 0; tile < kTiles; ++tile) {
      (sum[tile][0] + sum[tile][1]).store(records + tile * kRowRecord);
    }
  }

  /// Records of a row whose voxels lie at x.
  static void records_of(const F16 (&column)[kPoints], int32_t num_tiles, const float* x,
                         float* records) {
    constexpr int kTogether = 3;
    int32_t tile = 0;
    for (; tile + kTogether <= num_tiles; tile += kTogether) {
      records_of_tiles<kTogether>(column, x + tile * kOutputs, records + tile * kRowRecord);
    }
    for (; tile < num_tiles; ++tile) {
      records_of_tiles<1>(column, x + tile * kOutputs, records + tile * kRowRecord);
    }
  }

  static void input(const RowWinogradInput& input) {
    const int64_t voxels = (input.num_tiles - 1) * kOutputs + kPoints;
    F16 column[kPoints];
#pragma GCC unroll 10
    for (int i = 0; i < kPoints; ++i) column[i] = F16::load(input.columns + i * kRowRecord);
    for (int32_t c = 0; c < input.channels; ++c) {
      float* records = input.records + c * input.records_pitch;
      if (input.count <= 0) {
        for (int32_t t = 0; t < input.num_tiles; ++t) F16::zero().store(records + t * kRowRecord);
        continue;
      }
      const float* source = input.source + c * input.channel_pitch;
      if (!input.transformed && input.zeros_before == 0 && input.count == voxels) {
        records_of(column, input.num_tiles, source, records);
        continue;
      }
      const LoadTransform16 transform{F16::set1(input.scale != nullptr ? input.scale[c] : 1.0F),
                                      F16::set1(input.shift != nullptr ? input.shift[c] : 0.0F),
                                      F16::set1(input.slope)};
      const int64_t end = input.zeros_before + input.count;
      for (int64_t i = 0; i < input.zeros_before; ++i) input.buffer[i] = 0.0F;
      for (int64_t i = end; i < voxels; ++i) input.buffer[i] = 0.0F;
      for (int64_t i = 0; i < input.count; i += 16) {
        const F16 x = load_some(source + i, input.count - i);
        store_some(input.transformed ? transform.apply(x) : x,
                   input.buffer + input.zeros_before + i, input.count - i);
      }
      records_of(column, input.num_tiles, input.buffer, records);
    }
  }
};

}  // namespace

void row_winograd_columns(RowTile tile, float* columns) {
  WM_FOR_ROW_TILE(RowTransforms, columns(columns))
}

void row_winograd_filter(RowTile tile, const float* taps, float* points, int64_t pitch) {
  WM_FOR_ROW_TILE(RowTransforms, filter(taps, points, pitch))
}

void row_winograd_input(const RowWinogradInput& input) {
  const RowTile tile = input.tile;
  WM_FOR_ROW_TILE(RowTransforms, input(input))
}

void row_winograd_output(const RowWinogradOutput& output) {
  const RowTile tile = output.tile;
  WM_FOR_ROW_TILE(RowTransforms, output(output))
}

}  // namespace wholemount::WM_ISA
