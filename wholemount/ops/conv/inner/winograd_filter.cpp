#include "wholemount/ops/conv/inner/winograd_for_tile.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"

namespace wholemount::WM_ISA {

namespace {

template <class DepthAxis, class PlaneAxis>
struct FilterTile {
  using D = DepthAxis;
  using H = PlaneAxis;
  using W = PlaneAxis;

  static void filter(const float* taps, float* frequencies, int64_t pitch) {
    F16 rows[D::kTaps][H::kPoints][W::kPoints];
    for (int i = 0; i < D::kTaps; ++i) {
      F16 columns[W::kPoints][H::kTaps];
      for (int j = 0; j < H::kTaps; ++j) {
        F16 g[W::kTaps];
        F16 u[W::kPoints];
        for (int k = 0; k < W::kTaps; ++k) {
          g[k] = F16::load(taps + ((i * H::kTaps + j) * W::kTaps + k) * 16);
        }
        W::filter(g, u);
        for (int k = 0; k < W::kPoints; ++k) columns[k][j] = u[k];
      }
      for (int k = 0; k < W::kPoints; ++k) {
        F16 u[H::kPoints];
        H::filter(columns[k], u);
        for (int j = 0; j < H::kPoints; ++j) rows[i][j][k] = u[j];
      }
    }
    for (int j = 0; j < H::kPoints; ++j) {
      for (int k = 0; k < W::kPoints; ++k) {
        F16 g[D::kTaps];
        F16 u[D::kPoints];
        for (int i = 0; i < D::kTaps; ++i) g[i] = rows[i][j][k];
        D::filter(g, u);
        for (int i = 0; i < D::kPoints; ++i) {
          u[i].store(frequencies + ((i * H::kPoints + j) * W::kPoints + k) * pitch);
        }
      }
    }
  }

  static void filter_adjoint(const float* frequencies, int64_t pitch, float* taps,
                             int64_t tap_pitch) {
    F16 rows[D::kPoints][H::kTaps][W::kTaps];
    for (int i = 0; i < D::kPoints; ++i) {
      F16 columns[W::kTaps][H::kPoints];
      for (int j = 0; j < H::kPoints; ++j) {
        F16 u[W::kPoints];
        F16 g[W::kTaps];
        for (int k = 0; k < W::kPoints; ++k) {
          u[k] = F16::load(frequencies + ((i * H::kPoints + j) * W::kPoints + k) * pitch);
        }
        W::filter_adjoint(u, g);
        for (int k = 0; k < W::kTaps; ++k) columns[k][j] = g[k];
      }
      for (int k = 0; k < W::kTaps; ++k) {
        F16 g[H::kTaps];
        H::filter_adjoint(columns[k], g);
        for (int j = 0; j < H::kTaps; ++j) rows[i][j][k] = g[j];
      }
    }
    for (int j = 0; j < H::kTaps; ++j) {
      for (int k = 0; k < W::kTaps; ++k) {
        F16 u[D::kPoints];
        F16 g[D::kTaps];
        for (int i = 0; i < D::kPoints; ++i) u[i] = rows[i][j][k];
        D::filter_adjoint(u, g);
        for (int i = 0; i < D::kTaps; ++i) {
          g[i].store(taps + ((i * H::kTaps + j) * W::kTaps + k) * tap_pitch);
        }
      }
    }
  }
};

}  // namespace

void winograd_filter(WinogradTile tile, const float* taps, float* frequencies,
                     int64_t frequency_pitch) {
  WM_FOR_TILE(FilterTile, filter(taps, frequencies, frequency_pitch))
}

void winograd_filter_adjoint(WinogradTile tile, const float* frequencies, int64_t frequency_pitch,
                             float* taps, int64_t tap_pitch) {
  WM_FOR_TILE(FilterTile, filter_adjoint(frequencies, frequency_pitch, taps, tap_pitch))
}

}  // namespace wholemount::WM_ISA
