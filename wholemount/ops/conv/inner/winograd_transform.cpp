#include "wholemount/ops/conv/inner/winograd_transform.h"

#include "wholemount/base/simd/piece_moments.h"
#include "wholemount/ops/conv/inner/winograd_for_tile.h"

namespace wholemount::WM_ISA {

namespace {

LoadTransform16 load_transform(const float* scale, const float* shift, float slope) {
  return {scale != nullptr ? F16::load(scale) : F16::set1(1.0F),
          shift != nullptr ? F16::load(shift) : F16::zero(), F16::set1(slope)};
}

template <bool kBfloat16>
struct ElementIf {
  using Type = float;
};
template <>
struct ElementIf<true> {
  using Type = Bfloat16;
};

template <class DepthAxis, class PlaneAxis>
struct Tile {
  using D = DepthAxis;
  using H = PlaneAxis;
  using W = PlaneAxis;
  static constexpr int kOutputsD = D::kOutputs;
  static constexpr int kOutputsH = H::kOutputs;
  static constexpr int kOutputsW = W::kOutputs;
  static constexpr int kRows = D::kPoints * H::kPoints;

  /// One column; rows of the result are D::kPoints x H::kPoints.
  template <bool kTransformed, bool kEdge, class Element>
  static F16 load_input(const WinogradInputColumns& columns, const LoadTransform16& transform,
                        const Element* source, int i, int j) {
    const bool exists = !kEdge || (i >= columns.d_begin && i < columns.d_end &&
                                   j >= columns.h_begin && j < columns.h_end);
    if (!exists) return F16::zero();
    const F16 x = F16::load(source + i * columns.plane_pitch + j * columns.voxel_row_pitch);
    return kTransformed ? transform.apply(x) : x;
  }

  /// The frequencies [kBegin, kEnd) along d of one input column. All of them at once do not fit
  /// thirty-two registers, half of them do.
  template <bool kTransformed, bool kEdge, int kBegin, int kEnd, class Element>
  static void input_column(const WinogradInputColumns& columns, const LoadTransform16& transform,
                           const Element* source, float* out) {
    const int64_t pitch = columns.row_pitch;
    F16 partial[kEnd - kBegin][H::kPoints];
#pragma GCC unroll 10
    for (int j = 0; j < H::kPoints; ++j) {
      F16 x[D::kPoints];
      F16 v[D::kPoints];
#pragma GCC unroll 10
      for (int i = 0; i < D::kPoints; ++i) {
        x[i] = load_input<kTransformed, kEdge>(columns, transform, source, i, j);
      }
      D::input(x, v);
#pragma GCC unroll 10
      for (int i = kBegin; i < kEnd; ++i) partial[i - kBegin][j] = v[i];
    }
#pragma GCC unroll 10
    for (int i = kBegin; i < kEnd; ++i) {
      F16 v[H::kPoints];
      H::input(partial[i - kBegin], v);
#pragma GCC unroll 10
      for (int j = 0; j < H::kPoints; ++j) {
        v[j].store(out + (i * H::kPoints + j) * pitch);
      }
    }
  }

  /// Asks for the next kAhead columns, row by row: neighbouring lines wake the hardware's
  /// prefetcher, which cannot follow thirty-six rows a column at a time.
  static constexpr int64_t kAhead = 16;
  template <class Element>
  static void prefetch_row(const Element* voxels, int64_t first, int64_t end) {
    constexpr int64_t kLineBytes = 64;
    constexpr int64_t kPerLine = kLineBytes / static_cast<int64_t>(16 * sizeof(Element));
    const int64_t last = first + kAhead < end ? first + kAhead : end;
    for (int64_t column = first; column < last; column += kPerLine) {
      __builtin_prefetch(voxels + column * 16, 0, 2);
    }
  }
  template <class Element>
  static void prefetch_columns(const WinogradInputColumns& columns, int64_t first) {
    const auto* source = static_cast<const Element*>(columns.source);
    if (first < columns.w_begin) first = columns.w_begin;
    for (int64_t i = columns.d_begin; i < columns.d_end; ++i) {
      for (int64_t j = columns.h_begin; j < columns.h_end; ++j) {
        prefetch_row(source + i * columns.plane_pitch + j * columns.voxel_row_pitch, first,
                     columns.w_end);
      }
    }
  }

  template <class Element, bool kTransformed, bool kEdge>
  static void input_columns(const WinogradInputColumns& columns) {
    constexpr int kHalf = kTransformed || kEdge ? D::kPoints : (D::kPoints + 1) / 2;
    const LoadTransform16 transform = load_transform(columns.scale, columns.shift, columns.slope);
    for (int64_t column = 0; column < columns.num_columns; ++column) {
      if (column == 0) prefetch_columns<Element>(columns, 0);
      if (column % kAhead == kAhead / 2) prefetch_columns<Element>(columns, column + kAhead / 2);
      float* out = columns.destination + column * 16;
      if (column < columns.w_begin || column >= columns.w_end) {
        for (int q = 0; q < kRows; ++q) F16::zero().store(out + q * columns.row_pitch);
        continue;
      }
      const Element* source = static_cast<const Element*>(columns.source) + column * 16;
      input_column<kTransformed, kEdge, 0, kHalf>(columns, transform, source, out);
      if constexpr (kHalf < D::kPoints) {
        input_column<kTransformed, kEdge, kHalf, D::kPoints>(columns, transform, source, out);
      }
    }
  }

  template <class Element>
  static void input_columns(const WinogradInputColumns& columns) {
    const bool edge = columns.d_begin > 0 || columns.d_end < D::kPoints || columns.h_begin > 0 ||
                      columns.h_end < H::kPoints;
    if (columns.transformed) {
      edge ? input_columns<Element, true, true>(columns)
           : input_columns<Element, true, false>(columns);
    } else {
      edge ? input_columns<Element, false, true>(columns)
           : input_columns<Element, false, false>(columns);
    }
  }

  static void input_columns(const WinogradInputColumns& columns) {
    columns.bfloat16 ? input_columns<Bfloat16>(columns) : input_columns<float>(columns);
  }

  static void input_axis(const WinogradAxisPass& pass) {
    const float* in = pass.source;
    float* out = pass.destination;
    const int64_t pitch = pass.frequency_pitch;
    const int64_t num_tiles = pass.num_tiles;
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      F16 x[W::kPoints];
      F16 v[W::kPoints];
#pragma GCC unroll 10
      for (int k = 0; k < W::kPoints; ++k) x[k] = F16::load(in + k * 16);
      W::input(x, v);
#pragma GCC unroll 10
      for (int k = 0; k < W::kPoints; ++k) v[k].store(out + k * pitch);
      in += kOutputsW * 16;
      out += 16;
    }
  }

  static void coarse_axis(const WinogradAxisPass& pass) {
    const float* in = pass.source;
    float* out = pass.destination;
    const int64_t pitch = pass.frequency_pitch;
    const int64_t num_tiles = pass.num_tiles;
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      F16 y[kOutputsW];
      F16 m[W::kPoints];
#pragma GCC unroll 6
      for (int k = 0; k < kOutputsW; ++k) y[k] = F16::load(in + k * 16);
      W::coarse(y, m);
#pragma GCC unroll 10
      for (int k = 0; k < W::kPoints; ++k) m[k].store(out + k * pitch);
      in += kOutputsW * 16;
      out += 16;
    }
  }

  static void output_axis(const WinogradAxisPass& pass) {
    const float* in = pass.source;
    float* out = pass.destination;
    const int64_t pitch = pass.frequency_pitch;
    const int64_t num_tiles = pass.num_tiles;
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      F16 m[W::kPoints];
      F16 y[kOutputsW];
#pragma GCC unroll 10
      for (int k = 0; k < W::kPoints; ++k) m[k] = F16::load(in + k * pitch);
      W::output(m, y);
#pragma GCC unroll 6
      for (int k = 0; k < kOutputsW; ++k) y[k].store(out + k * 16);
      in += 16;
      out += kOutputsW * 16;
    }
  }

  /// Asks for what kAhead columns of outputs are multiplied by.
  template <class Element>
  static void prefetch_rectified(const WinogradOutputColumns& columns, int64_t first) {
    const auto* rectified = static_cast<const Element*>(columns.rectified);
    const int64_t planes = columns.planes < kOutputsD ? columns.planes : kOutputsD;
    const int64_t rows = columns.rows < kOutputsH ? columns.rows : kOutputsH;
    for (int64_t i = 0; i < planes; ++i) {
      for (int64_t j = 0; j < rows; ++j) {
        prefetch_row(
            rectified + i * columns.rectified_plane_pitch + j * columns.rectified_row_pitch, first,
            columns.num_columns);
      }
    }
  }

  /// What else happens to outputs on their way to memory.
  enum class Also : uint8_t { nothing, rectify, rectify_by_bfloat16, sum_moments };

  /// Columns of one piece of the moments: at most 256 values, in chains of at most 64 + 16.
  static constexpr int64_t kPieceColumns =
      256 / (kOutputsD * kOutputsH) < 64 ? 256 / (kOutputsD * kOutputsH) : 64;

  template <bool kFull, bool kStream, Also kAlso>
  static void output_columns(const WinogradOutputColumns& columns) {
    constexpr bool kByBfloat16 = kAlso == Also::rectify_by_bfloat16;
    constexpr bool kRectified = kAlso == Also::rectify || kByBfloat16;
    using Rectified = typename ElementIf<kByBfloat16>::Type;
    constexpr bool kMoments = kAlso == Also::sum_moments;
    const F16 bias = F16::load(columns.bias);
    const F16 slope = F16::set1(columns.rectified_slope);
    PieceMoments piece{F16::zero(), F16::zero(), F16::zero()};
    int64_t begun = 0;  // the piece's first column
    const auto end_piece = [&](int64_t end) {
      const int64_t planes = columns.planes < kOutputsD ? columns.planes : kOutputsD;
      const int64_t rows = columns.rows < kOutputsH ? columns.rows : kOutputsH;
      join_piece(piece, (end - begun) * planes * rows, *columns.moments);
      begun = end;
      piece.sum = piece.squares = F16::zero();
    };
    for (int64_t column = 0; column < columns.num_columns; ++column) {
      if (kRectified && column == 0) prefetch_rectified<Rectified>(columns, 0);
      if (kRectified && column % kAhead == kAhead / 2) {
        prefetch_rectified<Rectified>(columns, column + kAhead / 2);
      }
      const float* in = columns.source + column * 16;
      F16 rows[D::kPoints][kOutputsH];
#pragma GCC unroll 10
      for (int i = 0; i < D::kPoints; ++i) {
        F16 m[H::kPoints];
#pragma GCC unroll 10
        for (int j = 0; j < H::kPoints; ++j) {
          m[j] = F16::load(in + (i * H::kPoints + j) * columns.row_pitch);
        }
        H::output(m, rows[i]);
      }
      float* out = columns.destination + column * 16;
      F16 sum = F16::zero();
      F16 squares = F16::zero();
#pragma GCC unroll 6
      for (int j = 0; j < kOutputsH; ++j) {
        F16 m[D::kPoints];
        F16 y[kOutputsD];
#pragma GCC unroll 10
        for (int i = 0; i < D::kPoints; ++i) m[i] = rows[i][j];
        D::output(m, y);
#pragma GCC unroll 6
        for (int i = 0; i < kOutputsD; ++i) {
          if (!kFull && (i >= columns.planes || j >= columns.rows)) continue;
          float* voxel = out + i * columns.plane_pitch + j * columns.voxel_row_pitch;
          F16 value = y[i] + bias;
          if (kRectified) {
            const auto* x = static_cast<const Rectified*>(columns.rectified) + column * 16 +
                            i * columns.rectified_plane_pitch + j * columns.rectified_row_pitch;
            value = select_greater(F16::load(x), F16::zero(), value, value * slope);
          }
          kStream ? value.stream(voxel) : value.store(voxel);
          if (kMoments) {
            if (i == 0 && j == 0 && column == begun) piece.first = value;
            const F16 deviation = value - piece.first;
            sum = sum + deviation;
            squares = fma(deviation, deviation, squares);
          }
        }
      }
      if (kMoments) {
        piece.sum = piece.sum + sum;
        piece.squares = piece.squares + squares;
        if (column + 1 == begun + kPieceColumns) end_piece(column + 1);
      }
    }
    if (kMoments && begun < columns.num_columns) end_piece(columns.num_columns);
  }

  template <Also kAlso>
  static void output_columns(const WinogradOutputColumns& columns) {
    const bool full = columns.planes >= kOutputsD && columns.rows >= kOutputsH;
    if (!columns.stream) {
      full ? output_columns<true, false, kAlso>(columns)
           : output_columns<false, false, kAlso>(columns);
      return;
    }
    full ? output_columns<true, true, kAlso>(columns) : output_columns<false, true, kAlso>(columns);
#if defined(__AVX2__)
    // Other threads see streamed stores in order only behind a fence.
    _mm_sfence();
#endif
  }

  static void output_columns(const WinogradOutputColumns& columns) {
    if (columns.rectified != nullptr) {
      columns.rectified_bfloat16 ? output_columns<Also::rectify_by_bfloat16>(columns)
                                 : output_columns<Also::rectify>(columns);
    } else if (columns.moments != nullptr) {
      output_columns<Also::sum_moments>(columns);
    } else {
      output_columns<Also::nothing>(columns);
    }
  }

  /// At most sixteen voxels summed in float32, joined in float64.
  static void add_column(const F16& sum, double* sums) {
    float lanes[16];
    sum.store(lanes);
    for (int lane = 0; lane < 16; ++lane) sums[lane] += static_cast<double>(lanes[lane]);
  }

  template <bool kTransformed, bool kFull>
  static void coarse_columns(const WinogradCoarseColumns& columns) {
    const int64_t pitch = columns.row_pitch;
    const LoadTransform16 transform = load_transform(columns.scale, columns.shift, columns.slope);
    for (int64_t column = 0; column < columns.num_columns; ++column) {
      float* out = columns.destination + column * 16;
      if (column >= columns.existing) {
        for (int q = 0; q < kRows; ++q) F16::zero().store(out + q * columns.row_pitch);
        continue;
      }
      const float* in = columns.source + column * 16;
      F16 planes[D::kPoints][kOutputsH];
      F16 sum = F16::zero();
#pragma GCC unroll 6
      for (int j = 0; j < kOutputsH; ++j) {
        F16 y[kOutputsD];
        F16 m[D::kPoints];
#pragma GCC unroll 6
        for (int i = 0; i < kOutputsD; ++i) {
          if (kFull || (i < columns.planes && j < columns.rows)) {
            y[i] = F16::load(in + i * columns.plane_pitch + j * columns.voxel_row_pitch);
            if (kTransformed) y[i] = transform.apply(y[i]);
          } else {
            y[i] = F16::zero();
          }
        }
        F16 rows = y[0];
#pragma GCC unroll 6
        for (int i = 1; i < kOutputsD; ++i) rows = rows + y[i];
        sum = sum + rows;
        D::coarse(y, m);
#pragma GCC unroll 10
        for (int i = 0; i < D::kPoints; ++i) planes[i][j] = m[i];
      }
      if (columns.sums != nullptr) add_column(sum, columns.sums);
#pragma GCC unroll 10
      for (int i = 0; i < D::kPoints; ++i) {
        F16 m[H::kPoints];
        H::coarse(planes[i], m);
#pragma GCC unroll 10
        for (int j = 0; j < H::kPoints; ++j) {
          m[j].store(out + (i * H::kPoints + j) * pitch);
        }
      }
    }
  }

  static void coarse_columns(const WinogradCoarseColumns& columns) {
    const bool full = columns.planes >= kOutputsD && columns.rows >= kOutputsH;
    if (columns.transformed) {
      full ? coarse_columns<true, true>(columns) : coarse_columns<true, false>(columns);
    } else {
      full ? coarse_columns<false, true>(columns) : coarse_columns<false, false>(columns);
    }
  }
};

}  // namespace

void winograd_input_columns(WinogradTile tile, const WinogradInputColumns& columns) {
  WM_FOR_TILE(Tile, input_columns(columns))
}

void winograd_coarse_columns(WinogradTile tile, const WinogradCoarseColumns& columns) {
  WM_FOR_TILE(Tile, coarse_columns(columns))
}

void winograd_output_columns(WinogradTile tile, const WinogradOutputColumns& columns) {
  WM_FOR_TILE(Tile, output_columns(columns))
}

void winograd_input_axis(WinogradTile tile, const WinogradAxisPass& pass) {
  WM_FOR_TILE(Tile, input_axis(pass))
}

void winograd_coarse_axis(WinogradTile tile, const WinogradAxisPass& pass) {
  WM_FOR_TILE(Tile, coarse_axis(pass))
}

void winograd_output_axis(WinogradTile tile, const WinogradAxisPass& pass) {
  WM_FOR_TILE(Tile, output_axis(pass))
}

}  // namespace wholemount::WM_ISA
