#pragma once

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

/// out[c * out_pitch + r] = in[r * in_pitch + c] for r, c < 16: sixteen voxels of a channel block
/// to sixteen channels of neighbouring voxels, or back. `out` must not overlap `in`.
inline void transpose16(const float* in, int64_t in_pitch, float* out, int64_t out_pitch) {
#if defined(__AVX512F__)
  // Four floats of four rows each come together by loads; what is left is 4 x 4 within lanes.
  const auto four_rows = [in, in_pitch](int64_t row, int64_t column) {
    const float* p = in + row * in_pitch + column;
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(p));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 4 * in_pitch), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 8 * in_pitch), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 12 * in_pitch), 3);
  };
  for (int64_t column = 0; column < 16; column += 4) {
    const __m512 a = four_rows(0, column);
    const __m512 b = four_rows(1, column);
    const __m512 c = four_rows(2, column);
    const __m512 d = four_rows(3, column);
    const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
    const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
    const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    float* to = out + column * out_pitch;
    _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)));
    _mm512_storeu_ps(to + out_pitch, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
    _mm512_storeu_ps(to + 2 * out_pitch, _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)));
    _mm512_storeu_ps(to + 3 * out_pitch, _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)));
  }
#elif defined(__AVX2__)
  const auto two_rows = [in, in_pitch](int64_t row, int64_t column) {
    const float* p = in + row * in_pitch + column;
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                _mm_loadu_ps(p + 4 * in_pitch), 1);
  };
  for (int64_t row = 0; row < 16; row += 8) {
    for (int64_t column = 0; column < 16; column += 4) {
      const __m256 a = two_rows(row, column);
      const __m256 b = two_rows(row + 1, column);
      const __m256 c = two_rows(row + 2, column);
      const __m256 d = two_rows(row + 3, column);
      const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
      const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
      const __m256d ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
      const __m256d cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
      float* to = out + column * out_pitch + row;
      _mm256_storeu_ps(to, _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)));
      _mm256_storeu_ps(to + out_pitch, _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
      _mm256_storeu_ps(to + 2 * out_pitch, _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)));
      _mm256_storeu_ps(to + 3 * out_pitch, _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)));
    }
  }
#else
  for (int64_t c = 0; c < 16; ++c) {
    for (int64_t r = 0; r < 16; ++r) out[c * out_pitch + r] = in[r * in_pitch + c];
  }
#endif
}

}  // namespace wholemount::WM_ISA
