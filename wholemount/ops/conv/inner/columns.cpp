#include "wholemount/ops/conv/inner/columns.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

#if defined(__AVX512F__)
// GCC 12 calls the deliberately undefined operands of its own intrinsics uninitialised.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
namespace {

/// column[j] = the numbers j of row[0] ... row[15].
void transpose(__m512* row, __m512* column) {
  // Pairs of rows, then of pairs: lane L of row[4 g + k] holds column 4 L + k of rows 4 g .. + 3.
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(row[g], row[g + 1]));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(row[g], row[g + 1]));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(row[g + 2], row[g + 3]));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(row[g + 2], row[g + 3]));
    row[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
    row[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
    row[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
    row[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const __m512 even_low = _mm512_shuffle_f32x4(row[k], row[4 + k], 0x88);
    const __m512 even_high = _mm512_shuffle_f32x4(row[8 + k], row[12 + k], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(row[k], row[4 + k], 0xdd);
    const __m512 odd_high = _mm512_shuffle_f32x4(row[8 + k], row[12 + k], 0xdd);
    column[k] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    column[4 + k] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    column[8 + k] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
    column[12 + k] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
  }
}

/// Up to sixteen columns of up to sixteen rows, by a transposition in registers.
void gather_sixteen(const GatherColumns& gather, int64_t first, int columns) {
  const auto mask = static_cast<__mmask16>((1U << columns) - 1U);
  __m512 row[16];
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) {
    row[r] = r < gather.rows ? _mm512_maskz_loadu_ps(mask, gather.in + r * gather.row_pitch + first)
                             : _mm512_setzero_ps();
  }
  __m512 column[16];
  transpose(row, column);
  float* out = gather.out + first * gather.out_step;
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j) {
    if (j < columns) _mm512_storeu_ps(out + j * gather.out_step, column[j]);
  }
}

void scatter_sixteen(const ScatterColumns& scatter, int64_t first, int columns) {
  const auto mask = static_cast<__mmask16>((1U << columns) - 1U);
  const float* in = scatter.in + first * scatter.in_step;
  __m512 column[16];
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j) {
    column[j] = j < columns ? _mm512_loadu_ps(in + j * scatter.in_step) : _mm512_setzero_ps();
  }
  __m512 row[16];
  transpose(column, row);
  float* out = scatter.out + first;
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) {
    if (r >= scatter.rows) break;
    float* to = out + r * scatter.row_pitch;
    const __m512 sum =
        scatter.add ? _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), row[r]) : row[r];
    _mm512_mask_storeu_ps(to, mask, sum);
  }
}

}  // namespace

void gather_columns(const GatherColumns& gather) {
  for (int64_t first = 0; first < gather.count; first += 16) {
    const int64_t left = gather.count - first;
    gather_sixteen(gather, first, left < 16 ? static_cast<int>(left) : 16);
  }
}

void scatter_columns(const ScatterColumns& scatter) {
  for (int64_t first = 0; first < scatter.count; first += 16) {
    const int64_t left = scatter.count - first;
    scatter_sixteen(scatter, first, left < 16 ? static_cast<int>(left) : 16);
  }
}
#pragma GCC diagnostic pop
#else
namespace {

#if defined(__AVX2__)
/// column[j] = the numbers j of row[0] ... row[7].
void transpose(const __m256* row, __m256* column) {
  __m256 four[8];
#pragma GCC unroll 2
  for (int g = 0; g < 8; g += 4) {
    const __m256 low01 = _mm256_unpacklo_ps(row[g], row[g + 1]);
    const __m256 high01 = _mm256_unpackhi_ps(row[g], row[g + 1]);
    const __m256 low23 = _mm256_unpacklo_ps(row[g + 2], row[g + 3]);
    const __m256 high23 = _mm256_unpackhi_ps(row[g + 2], row[g + 3]);
    four[g] = _mm256_shuffle_ps(low01, low23, 0x44);
    four[g + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
    four[g + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    four[g + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    column[k] = _mm256_permute2f128_ps(four[k], four[4 + k], 0x20);
    column[4 + k] = _mm256_permute2f128_ps(four[k], four[4 + k], 0x31);
  }
}

/// Eight columns of rows [half, half + 8), all of which exist.
void gather_eight(const GatherColumns& gather, int64_t first, int64_t half) {
  __m256 row[8];
  __m256 column[8];
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) {
    row[r] = _mm256_loadu_ps(gather.in + (half + r) * gather.row_pitch + first);
  }
  transpose(row, column);
  float* out = gather.out + first * gather.out_step + half;
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) _mm256_storeu_ps(out + j * gather.out_step, column[j]);
}

void scatter_eight(const ScatterColumns& scatter, int64_t first, int64_t half) {
  __m256 column[8];
  __m256 row[8];
  const float* in = scatter.in + first * scatter.in_step + half;
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) column[j] = _mm256_loadu_ps(in + j * scatter.in_step);
  transpose(column, row);
  float* out = scatter.out + half * scatter.row_pitch + first;
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) {
    float* to = out + r * scatter.row_pitch;
    _mm256_storeu_ps(to, scatter.add ? _mm256_add_ps(_mm256_loadu_ps(to), row[r]) : row[r]);
  }
}
#endif

/// Columns done eight at a time, where all sixteen rows exist.
template <class Columns, class Eight>
int64_t eight_at_a_time([[maybe_unused]] const Columns& columns,
                        [[maybe_unused]] const Eight& eight) {
  int64_t done = 0;
#if defined(__AVX2__)
  for (; columns.rows == 16 && done + 8 <= columns.count; done += 8) {
    eight(columns, done, 0);
    eight(columns, done, 8);
  }
#endif
  return done;
}

#if !defined(__AVX2__)
void gather_eight(const GatherColumns& /*gather*/, int64_t /*first*/, int64_t /*half*/) {}
void scatter_eight(const ScatterColumns& /*scatter*/, int64_t /*first*/, int64_t /*half*/) {}
#endif

}  // namespace

void gather_columns(const GatherColumns& gather) {
  int64_t done = eight_at_a_time(gather, gather_eight);
  if (done > 0 && done < gather.count) {
    // The last eight, some of them for the second time.
    gather_eight(gather, gather.count - 8, 0);
    gather_eight(gather, gather.count - 8, 8);
    done = gather.count;
  }
  for (int64_t j = done; j < gather.count; ++j) {
    float* out = gather.out + j * gather.out_step;
    for (int r = 0; r < 16; ++r) {
      out[r] = r < gather.rows ? gather.in[r * gather.row_pitch + j] : 0.0F;
    }
  }
}

void scatter_columns(const ScatterColumns& scatter) {
  for (int64_t j = eight_at_a_time(scatter, scatter_eight); j < scatter.count; ++j) {
    const float* in = scatter.in + j * scatter.in_step;
    for (int r = 0; r < scatter.rows; ++r) {
      float* to = scatter.out + r * scatter.row_pitch + j;
      *to = scatter.add ? *to + in[r] : in[r];
    }
  }
}
#endif

}  // namespace wholemount::WM_ISA
