#include "wholemount/ops/conv/inner/winograd_transform.h"

#include "wholemount/ops/conv/inner/winograd_axis.h"

namespace wholemount::WM_ISA {

namespace {

LoadTransform16 load_transform(const float* scale, const float* shift, float slope) {
  return {scale != nullptr ? F16::load(scale) : F16::set1(1.0F),
          shift != nullptr ? F16::load(shift) : F16::zero(), F16::set1(slope)};
}

template <class DepthAxis, class PlaneAxis>
struct Tile {
  using D = DepthAxis;
  using H = PlaneAxis;
  using W = PlaneAxis;
  static constexpr int kOutputsD = D::kOutputs;
  static constexpr int kOutputsH = H::kOutputs;
  static constexpr int kOutputsW = W::kOutputs;
  static constexpr int kRows = D::kPoints * H::kPoints;
  /// Columns are kept transformed along d and h, for the tiles that share them.
  static constexpr int kRing = 8;

  template <bool kTransformed, bool kEdge>
  static void input_column(const WinogradInputRow& row, const LoadTransform16& transform,
                           int64_t column, float* ring) {
    float* out = ring + (column % kRing) * 16;
    if (column < row.w_begin || column >= row.w_end) {
      for (int q = 0; q < kRows; ++q) F16::zero().store(out + q * kRing * 16);
      return;
    }
    const float* source = row.source + column * 16;
    F16 partial[D::kPoints][H::kPoints];
#pragma GCC unroll 8
    for (int j = 0; j < H::kPoints; ++j) {
      F16 x[D::kPoints];
      F16 v[D::kPoints];
#pragma GCC unroll 8
      for (int i = 0; i < D::kPoints; ++i) {
        const bool exists =
            !kEdge || (i >= row.d_begin && i < row.d_end && j >= row.h_begin && j < row.h_end);
        if (exists) {
          x[i] = F16::load(source + i * row.plane_pitch + j * row.row_pitch);
          if (kTransformed) x[i] = transform.apply(x[i]);
        } else {
          x[i] = F16::zero();
        }
      }
      D::input(x, v);
#pragma GCC unroll 8
      for (int i = 0; i < D::kPoints; ++i) partial[i][j] = v[i];
    }
#pragma GCC unroll 8
    for (int i = 0; i < D::kPoints; ++i) {
      F16 v[H::kPoints];
      H::input(partial[i], v);
#pragma GCC unroll 8
      for (int j = 0; j < H::kPoints; ++j) v[j].store(out + (i * H::kPoints + j) * kRing * 16);
    }
  }

  /// Asks for the next kAhead columns, row by row: neighbouring lines wake the hardware's
  /// prefetcher, which cannot follow thirty-six rows a column at a time.
  static constexpr int64_t kAhead = 16;
  static void prefetch_columns(const WinogradInputRow& row, int64_t first) {
    const int64_t last = first + kAhead < row.w_end ? first + kAhead : row.w_end;
    for (int64_t i = row.d_begin; i < row.d_end; ++i) {
      for (int64_t j = row.h_begin; j < row.h_end; ++j) {
        const float* voxels = row.source + i * row.plane_pitch + j * row.row_pitch;
        for (int64_t column = first; column < last; ++column) {
          __builtin_prefetch(voxels + column * 16, 0, 2);
        }
      }
    }
  }

  template <bool kTransformed, bool kEdge>
  static void input_row(const WinogradInputRow& row) {
    const LoadTransform16 transform = load_transform(row.scale, row.shift, row.slope);
    alignas(64) float ring[kRows * kRing * 16];
    int64_t loaded = 0;
    int64_t asked = 0;
    for (int64_t tile = 0; tile < row.num_tiles; ++tile) {
      const int64_t first = tile * kOutputsW;
      for (; loaded < first + W::kPoints; ++loaded) {
        input_column<kTransformed, kEdge>(row, transform, loaded, ring);
      }
      if (loaded > asked - kAhead / 2) {
        asked = asked < loaded ? loaded : asked;
        prefetch_columns(row, asked);
        asked += kAhead;
      }
      float* out = row.destination + tile * 16;
      for (int q = 0; q < kRows; ++q) {
        F16 x[W::kPoints];
        F16 v[W::kPoints];
#pragma GCC unroll 8
        for (int k = 0; k < W::kPoints; ++k) {
          x[k] = F16::load(ring + (q * kRing + (first + k) % kRing) * 16);
        }
        W::input(x, v);
#pragma GCC unroll 8
        for (int k = 0; k < W::kPoints; ++k) {
          v[k].store(out);
          out += row.frequency_pitch;
        }
      }
    }
  }

  static void input(const WinogradInputRow& row) {
    const bool edge =
        row.d_begin > 0 || row.d_end < D::kPoints || row.h_begin > 0 || row.h_end < H::kPoints;
    if (row.transformed) {
      edge ? input_row<true, true>(row) : input_row<true, false>(row);
    } else {
      edge ? input_row<false, true>(row) : input_row<false, false>(row);
    }
  }

  template <bool kStream>
  static void output_row(const WinogradOutputRow& row) {
    const F16 bias = F16::load(row.bias);
    for (int64_t tile = 0; tile < row.num_tiles; ++tile) {
      const float* in = row.source + tile * 16;
      F16 rows[D::kPoints][kOutputsH][kOutputsW];
      for (int i = 0; i < D::kPoints; ++i) {
        F16 columns[kOutputsW][H::kPoints];
#pragma GCC unroll 8
        for (int j = 0; j < H::kPoints; ++j) {
          F16 m[W::kPoints];
          F16 y[kOutputsW];
#pragma GCC unroll 8
          for (int k = 0; k < W::kPoints; ++k) {
            m[k] = F16::load(in);
            in += row.frequency_pitch;
          }
          W::output(m, y);
#pragma GCC unroll 4
          for (int k = 0; k < kOutputsW; ++k) columns[k][j] = y[k];
        }
#pragma GCC unroll 4
        for (int k = 0; k < kOutputsW; ++k) {
          F16 y[kOutputsH];
          H::output(columns[k], y);
#pragma GCC unroll 4
          for (int j = 0; j < kOutputsH; ++j) rows[i][j][k] = y[j];
        }
      }
      float* out = row.destination + tile * kOutputsW * 16;
      const int64_t left = row.columns - tile * kOutputsW;
      const bool full = row.planes >= kOutputsD && row.rows >= kOutputsH && left >= kOutputsW;
      for (int j = 0; j < kOutputsH; ++j) {
#pragma GCC unroll 4
        for (int k = 0; k < kOutputsW; ++k) {
          F16 m[D::kPoints];
          F16 y[kOutputsD];
#pragma GCC unroll 8
          for (int i = 0; i < D::kPoints; ++i) m[i] = rows[i][j][k];
          D::output(m, y);
#pragma GCC unroll 4
          for (int i = 0; i < kOutputsD; ++i) {
            if (full || (i < row.planes && j < row.rows && k < left)) {
              float* voxel = out + i * row.plane_pitch + j * row.row_pitch + k * 16;
              if (kStream) {
                (y[i] + bias).stream(voxel);
              } else {
                (y[i] + bias).store(voxel);
              }
            }
          }
        }
      }
    }
  }

  static void output(const WinogradOutputRow& row) {
    if (!row.stream) {
      output_row<false>(row);
      return;
    }
    output_row<true>(row);
#if defined(__AVX2__)
    // Other threads see streamed stores in order only behind a fence.
    _mm_sfence();
#endif
  }

  template <bool kTransformed>
  static void coarse_row(const WinogradCoarseRow& row) {
    const LoadTransform16 transform = load_transform(row.scale, row.shift, row.slope);
    for (int64_t tile = 0; tile < row.num_tiles; ++tile) {
      const float* in = row.source + tile * kOutputsW * 16;
      const int64_t left = row.columns - tile * kOutputsW;
      const bool full = row.planes >= kOutputsD && row.rows >= kOutputsH && left >= kOutputsW;
      F16 planes[D::kPoints][kOutputsH][kOutputsW];
      for (int j = 0; j < kOutputsH; ++j) {
#pragma GCC unroll 4
        for (int k = 0; k < kOutputsW; ++k) {
          F16 y[kOutputsD];
          F16 m[D::kPoints];
#pragma GCC unroll 4
          for (int i = 0; i < kOutputsD; ++i) {
            if (full || (i < row.planes && j < row.rows && k < left)) {
              y[i] = F16::load(in + i * row.plane_pitch + j * row.row_pitch + k * 16);
              if (kTransformed) y[i] = transform.apply(y[i]);
            } else {
              y[i] = F16::zero();
            }
          }
          D::coarse(y, m);
#pragma GCC unroll 8
          for (int i = 0; i < D::kPoints; ++i) planes[i][j][k] = m[i];
        }
      }
      float* out = row.destination + tile * 16;
      for (int i = 0; i < D::kPoints; ++i) {
        F16 rows[H::kPoints][kOutputsW];
#pragma GCC unroll 4
        for (int k = 0; k < kOutputsW; ++k) {
          F16 y[kOutputsH];
          F16 m[H::kPoints];
#pragma GCC unroll 4
          for (int j = 0; j < kOutputsH; ++j) y[j] = planes[i][j][k];
          H::coarse(y, m);
#pragma GCC unroll 8
          for (int j = 0; j < H::kPoints; ++j) rows[j][k] = m[j];
        }
#pragma GCC unroll 8
        for (int j = 0; j < H::kPoints; ++j) {
          F16 m[W::kPoints];
          W::coarse(rows[j], m);
#pragma GCC unroll 8
          for (int k = 0; k < W::kPoints; ++k) {
            m[k].store(out);
            out += row.frequency_pitch;
          }
        }
      }
    }
  }

  static void coarse(const WinogradCoarseRow& row) {
    row.transformed ? coarse_row<true>(row) : coarse_row<false>(row);
  }

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

using One = WinogradAxis<1, 1>;
using Two = WinogradAxis<2, 3>;
using Four = WinogradAxis<4, 3>;

#define WM_FOR_TILE(call)                         \
  switch (tile) {                                 \
    case WinogradTile::f444:                      \
      return Tile<Four, Four>::call;              \
    case WinogradTile::f244:                      \
      return Tile<Two, Four>::call;               \
    case WinogradTile::f222:                      \
      return Tile<Two, Two>::call;                \
    case WinogradTile::f144:                      \
      return Tile<One, Four>::call;               \
    case WinogradTile::f122:                      \
      return Tile<One, Two>::call;                \
    case WinogradTile::f144k5:                    \
      return Tile<One, WinogradAxis<4, 5>>::call; \
    case WinogradTile::f122k5:                    \
      return Tile<One, WinogradAxis<2, 5>>::call; \
  }

void winograd_input_row(WinogradTile tile, const WinogradInputRow& row) { WM_FOR_TILE(input(row)) }

void winograd_output_row(WinogradTile tile, const WinogradOutputRow& row) {
  WM_FOR_TILE(output(row))
}

void winograd_coarse_row(WinogradTile tile, const WinogradCoarseRow& row) {
  WM_FOR_TILE(coarse(row))
}

void winograd_filter(WinogradTile tile, const float* taps, float* frequencies,
                     int64_t frequency_pitch) {
  WM_FOR_TILE(filter(taps, frequencies, frequency_pitch))
}

void winograd_filter_adjoint(WinogradTile tile, const float* frequencies, int64_t frequency_pitch,
                             float* taps, int64_t tap_pitch) {
  WM_FOR_TILE(filter_adjoint(frequencies, frequency_pitch, taps, tap_pitch))
}

#undef WM_FOR_TILE

}  // namespace wholemount::WM_ISA
