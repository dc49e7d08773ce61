#pragma once

#include "wholemount/base/simd/f16.h"

/// Sixteen lanes from and to every second float; like f16.h only for sources compiled per
/// instruction set.
namespace wholemount::WM_ISA {

#if defined(__AVX512F__)

/// p[0], p[2], ... p[30]; nothing beyond is read.
inline F16 load_every_second(const float* p) {
  const __m512i lanes = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 14, 12, 10, 8, 6, 4, 2, 0);
  return {_mm512_permutex2var_ps(_mm512_loadu_ps(p), lanes, _mm512_loadu_ps(p + 15))};
}
/// even[0], odd[0], even[1], odd[1] ... to thirty-two floats; `low` and `high` receive them.
inline void interleave(F16 even, F16 odd, F16& low, F16& high) {
  const __m512i first = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  low.v = _mm512_permutex2var_ps(even.v, first, odd.v);
  high.v = _mm512_permutex2var_ps(even.v, second, odd.v);
}

/// before[15], here[0], ... here[14].
inline F16 shift_up(F16 before, F16 here) {
  return {_mm512_castsi512_ps(
      _mm512_alignr_epi32(_mm512_castps_si512(here.v), _mm512_castps_si512(before.v), 15))};
}
/// here[1], ... here[15], after[0].
inline F16 shift_down(F16 here, F16 after) {
  return {_mm512_castsi512_ps(
      _mm512_alignr_epi32(_mm512_castps_si512(after.v), _mm512_castps_si512(here.v), 1))};
}

#elif defined(__AVX2__)

namespace detail {
inline __m256 shift_up_eight(__m256 before, __m256 here) {
  const __m256 middle = _mm256_permute2f128_ps(before, here, 0x21);
  return _mm256_castsi256_ps(
      _mm256_alignr_epi8(_mm256_castps_si256(here), _mm256_castps_si256(middle), 12));
}
inline __m256 shift_down_eight(__m256 here, __m256 after) {
  const __m256 middle = _mm256_permute2f128_ps(here, after, 0x21);
  return _mm256_castsi256_ps(
      _mm256_alignr_epi8(_mm256_castps_si256(middle), _mm256_castps_si256(here), 4));
}
inline __m256 eight_of_every_second(const float* p) {
  const __m256 mixed = _mm256_blend_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), 0xAA);
  return _mm256_permutevar8x32_ps(mixed, _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0));
}
inline void interleave_eight(__m256 even, __m256 odd, __m256& low, __m256& high) {
  const __m256 a = _mm256_unpacklo_ps(even, odd);
  const __m256 b = _mm256_unpackhi_ps(even, odd);
  low = _mm256_permute2f128_ps(a, b, 0x20);
  high = _mm256_permute2f128_ps(a, b, 0x31);
}
}  // namespace detail
inline F16 shift_up(F16 before, F16 here) {
  return {detail::shift_up_eight(before.hi, here.lo), detail::shift_up_eight(here.lo, here.hi)};
}
inline F16 shift_down(F16 here, F16 after) {
  return {detail::shift_down_eight(here.lo, here.hi), detail::shift_down_eight(here.hi, after.lo)};
}
inline F16 load_every_second(const float* p) {
  return {detail::eight_of_every_second(p), detail::eight_of_every_second(p + 16)};
}
inline void interleave(F16 even, F16 odd, F16& low, F16& high) {
  detail::interleave_eight(even.lo, odd.lo, low.lo, low.hi);
  detail::interleave_eight(even.hi, odd.hi, high.lo, high.hi);
}

#else

inline F16 shift_up(F16 before, F16 here) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = i == 0 ? before.lane[15] : here.lane[i - 1];
  return r;
}
inline F16 shift_down(F16 here, F16 after) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = i == 15 ? after.lane[0] : here.lane[i + 1];
  return r;
}
inline F16 load_every_second(const float* p) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = p[2 * i];
  return r;
}
inline void interleave(F16 even, F16 odd, F16& low, F16& high) {
  for (int i = 0; i < 8; ++i) {
    low.lane[2 * i] = even.lane[i];
    low.lane[2 * i + 1] = odd.lane[i];
    high.lane[2 * i] = even.lane[8 + i];
    high.lane[2 * i + 1] = odd.lane[8 + i];
  }
}

#endif

/// The `count` <= 16 floats from p on, then zeros.
inline F16 load_some(const float* p, int64_t count) {
  if (count >= 16) return F16::load(p);
  alignas(64) float buffer[16] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return F16::load(buffer);
}
/// The first `count` <= 16 lanes to p.
inline void store_some(F16 a, float* p, int64_t count) {
  if (count >= 16) {
    a.store(p);
    return;
  }
  alignas(64) float buffer[16];
  a.store(buffer);
  for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}
/// The `count` <= 16 floats p[0], p[stride], ..., then zeros.
inline F16 load_some_strided(const float* p, int64_t stride, int64_t count) {
  if (count >= 16 && stride == 1) return F16::load(p);
  if (count >= 16 && stride == 2) return load_every_second(p);
  alignas(64) float buffer[16] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i * stride];
  return F16::load(buffer);
}
/// The first `count` <= 16 lanes of both, interleaved, to p.
inline void store_some_interleaved(F16 even, F16 odd, float* p, int64_t count) {
  F16 low;
  F16 high;
  interleave(even, odd, low, high);
  store_some(low, p, 2 * count);
  if (count > 8) store_some(high, p + 16, 2 * count - 16);
}

}  // namespace wholemount::WM_ISA
