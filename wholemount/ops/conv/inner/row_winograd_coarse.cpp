#include "wholemount/ops/conv/inner/row_winograd_axes.h"
#include "wholemount/ops/conv/inner/row_winograd_gradient.h"

namespace wholemount::WM_ISA {

namespace {

template <class Axis>
struct RowGradientTransforms {
  static constexpr int kPoints = Axis::kPoints;
  static constexpr int kOutputs = Axis::kOutputs;
  static constexpr int kTaps = Axis::kTaps;

  static void filter_adjoint(const float* points, int64_t pitch, float* taps, int64_t tap_pitch) {
    F16 u[kPoints];
    F16 g[kTaps];
    for (int i = 0; i < kPoints; ++i) u[i] = F16::load(points + i * pitch);
    Axis::filter_adjoint(u, g);
    for (int i = 0; i < kTaps; ++i) g[i].store(taps + i * tap_pitch);
  }

  /// One tile, of which `columns` columns exist; adds them to `sum`.
  template <bool kTransformed, bool kFull>
  static void coarse_tile(const float* source, int64_t columns, const LoadTransform16& transform,
                          F16& sum, float* out, int64_t point_pitch) {
    F16 y[kOutputs];
    F16 m[kPoints];
#pragma GCC unroll 6
    for (int k = 0; k < kOutputs; ++k) {
      if (!kFull && k >= columns) {
        y[k] = F16::zero();
        continue;
      }
      y[k] = F16::load(source + k * 16);
      if (kTransformed) y[k] = transform.apply(y[k]);
    }
    Axis::coarse(y, m);
#pragma GCC unroll 10
    for (int k = 0; k < kPoints; ++k) m[k].store(out + k * point_pitch);
    F16 pairs = y[0] + y[1];
#pragma GCC unroll 2
    for (int k = 2; k < kOutputs; k += 2) pairs = pairs + (y[k] + y[k + 1]);
    sum = sum + pairs;
  }

  template <bool kTransformed>
  static void coarse_rows(const RowWinogradCoarse& coarse) {
    const LoadTransform16 transform{
        coarse.scale != nullptr ? F16::load(coarse.scale) : F16::set1(1.0F),
        coarse.shift != nullptr ? F16::load(coarse.shift) : F16::zero(), F16::set1(coarse.slope)};
    const int64_t point_pitch = coarse.tiles * kRowsTogether * 16;
    // At most kRowTilesTogether x kRowsTogether tiles in float32, joined in float64.
    F16 sum = F16::zero();
    for (int64_t row = 0; row < kRowsTogether; ++row) {
      const float* source = coarse.source + row * coarse.row_pitch;
      float* out = coarse.destination + row * 16;
      for (int64_t tile = 0; tile < coarse.tiles; ++tile) {
        const int64_t left = row < coarse.rows ? coarse.columns - tile * kOutputs : 0;
        if (left >= kOutputs) {
          coarse_tile<kTransformed, true>(source, left, transform, sum, out, point_pitch);
        } else {
          coarse_tile<kTransformed, false>(source, left, transform, sum, out, point_pitch);
        }
        source += kOutputs * 16;
        out += kRowsTogether * 16;
      }
    }
    if (coarse.sums == nullptr) return;
    float lanes[16];
    sum.store(lanes);
    for (int lane = 0; lane < 16; ++lane) coarse.sums[lane] += static_cast<double>(lanes[lane]);
  }
  static void coarse(const RowWinogradCoarse& coarse) {
    coarse.transformed ? coarse_rows<true>(coarse) : coarse_rows<false>(coarse);
  }
};

}  // namespace

void row_winograd_coarse(const RowWinogradCoarse& coarse) {
  const RowTile tile = coarse.tile;
  WM_FOR_ROW_TILE(RowGradientTransforms, coarse(coarse))
}

void row_winograd_filter_adjoint(RowTile tile, const float* points, int64_t pitch, float* taps,
                                 int64_t tap_pitch) {
  WM_FOR_ROW_TILE(RowGradientTransforms, filter_adjoint(points, pitch, taps, tap_pitch))
}

}  // namespace wholemount::WM_ISA
