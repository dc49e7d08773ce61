#pragma once

#include "wholemount/base/simd/f16.h"

/// A yes or no for each of sixteen lanes, where one comparison decides over several numbers; like
/// f16.h only for sources compiled per instruction set.
namespace wholemount::WM_ISA {

#if defined(__AVX512F__)

struct Mask16 {
  __mmask16 m;
};
inline Mask16 is_equal(F16 a, F16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline Mask16 operator&(Mask16 a, Mask16 b) { return {_kand_mask16(a.m, b.m)}; }
/// sum + term where `mask` says so, else sum.
inline F16 add_where(Mask16 mask, F16 sum, F16 term) {
  return {_mm512_mask_add_ps(sum.v, mask.m, sum.v, term.v)};
}
/// a * b + sum where `mask` says so, else sum.
inline F16 fma_where(Mask16 mask, F16 a, F16 b, F16 sum) {
  return {_mm512_mask3_fmadd_ps(a.v, b.v, sum.v, mask.m)};
}

#elif defined(__AVX2__)

struct Mask16 {
  __m256 lo;
  __m256 hi;
};
inline Mask16 is_equal(F16 a, F16 b) {
  return {_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)};
}
inline Mask16 operator&(Mask16 a, Mask16 b) {
  return {_mm256_and_ps(a.lo, b.lo), _mm256_and_ps(a.hi, b.hi)};
}
inline F16 add_where(Mask16 mask, F16 sum, F16 term) {
  return {_mm256_add_ps(sum.lo, _mm256_and_ps(mask.lo, term.lo)),
          _mm256_add_ps(sum.hi, _mm256_and_ps(mask.hi, term.hi))};
}
inline F16 fma_where(Mask16 mask, F16 a, F16 b, F16 sum) {
  return {_mm256_fmadd_ps(_mm256_and_ps(mask.lo, a.lo), b.lo, sum.lo),
          _mm256_fmadd_ps(_mm256_and_ps(mask.hi, a.hi), b.hi, sum.hi)};
}

#else

struct Mask16 {
  bool lane[16];
};
inline Mask16 is_equal(F16 a, F16 b) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = a.lane[i] == b.lane[i];
  return r;
}
inline Mask16 operator&(Mask16 a, Mask16 b) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = a.lane[i] && b.lane[i];
  return r;
}
inline F16 add_where(Mask16 mask, F16 sum, F16 term) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = mask.lane[i] ? sum.lane[i] + term.lane[i] : sum.lane[i];
  return r;
}
inline F16 fma_where(Mask16 mask, F16 a, F16 b, F16 sum) {
  F16 r;
  for (int i = 0; i < 16; ++i) {
    r.lane[i] = mask.lane[i] ? a.lane[i] * b.lane[i] + sum.lane[i] : sum.lane[i];
  }
  return r;
}

#endif

}  // namespace wholemount::WM_ISA
