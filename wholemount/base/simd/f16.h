#pragma once

#include <cstdint>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

/// Sixteen float lanes: one channel block of one voxel. One zmm, two ymm, or sixteen floats; only
/// for sources compiled per instruction set (see isa.h). All members are element-wise; fma is fused
/// on AVX2 and AVX-512 and two roundings on the portable path.
namespace wholemount::WM_ISA {

/// The upper half of a float32. F16::load expands sixteen of them, exactly; templates on the
/// element of their source thus read rows of either.
enum class Bfloat16 : uint16_t {};

#if defined(__AVX512F__)

struct F16 {
  __m512 v;
  static F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static F16 load(const Bfloat16* p) {
    const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16))};
  }
  static F16 set1(float x) { return {_mm512_set1_ps(x)}; }
  static F16 zero() { return {_mm512_setzero_ps()}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  /// Non-temporal; p must be 64-byte aligned.
  void stream(float* p) const { _mm512_stream_ps(p, v); }
};
inline F16 operator+(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
/// a * b + c
inline F16 fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// Lane-wise a > b ? yes : no.
inline F16 select_greater(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), no.v, yes.v)};
}

#elif defined(__AVX2__)

struct F16 {
  __m256 lo;
  __m256 hi;
  static F16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F16 load(const Bfloat16* p) { return {expand_eight(p), expand_eight(p + 8)}; }
  static __m256 expand_eight(const Bfloat16* p) {
    const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16));
  }
  static F16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void stream(float* p) const {
    _mm256_stream_ps(p, lo);
    _mm256_stream_ps(p + 8, hi);
  }
};
inline F16 operator+(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F16 operator-(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F16 operator*(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F16 operator/(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F16 max(F16 a, F16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline F16 min(F16 a, F16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline F16 fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F16 select_greater(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_GT_OQ)),
          _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_GT_OQ))};
}

#else

struct F16 {
  float lane[16];
  static F16 load(const float* p) {
    F16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = p[i];
    return r;
  }
  static F16 load(const Bfloat16* p) {
    F16 r;
    for (int i = 0; i < 16; ++i) {
      const uint32_t bits = static_cast<uint32_t>(p[i]) << 16U;
      __builtin_memcpy(&r.lane[i], &bits, sizeof(bits));
    }
    return r;
  }
  static F16 set1(float x) {
    F16 r;
    for (float& lane_value : r.lane) lane_value = x;
    return r;
  }
  static F16 zero() { return set1(0.0F); }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = lane[i];
  }
  void stream(float* p) const { store(p); }
};
#define WM_F16_LANEWISE(declaration, expression)         \
  inline F16 declaration {                               \
    F16 r;                                               \
    for (int i = 0; i < 16; ++i) r.lane[i] = expression; \
    return r;                                            \
  }
WM_F16_LANEWISE(operator+(F16 a, F16 b), a.lane[i] + b.lane[i])
WM_F16_LANEWISE(operator-(F16 a, F16 b), a.lane[i] - b.lane[i])
WM_F16_LANEWISE(operator*(F16 a, F16 b), a.lane[i] * b.lane[i])
WM_F16_LANEWISE(operator/(F16 a, F16 b), a.lane[i] / b.lane[i])
WM_F16_LANEWISE(max(F16 a, F16 b), a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i])
WM_F16_LANEWISE(min(F16 a, F16 b), a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i])
WM_F16_LANEWISE(fma(F16 a, F16 b, F16 c), a.lane[i] * b.lane[i] + c.lane[i])
WM_F16_LANEWISE(select_greater(F16 a, F16 b, F16 yes, F16 no),
                a.lane[i] > b.lane[i] ? yes.lane[i] : no.lane[i])
#undef WM_F16_LANEWISE

#endif

/// Reads through a LoadTransform: z > 0 ? z : slope * z with z = fma(scale, x, shift).
struct LoadTransform16 {
  F16 scale;
  F16 shift;
  F16 slope;
  [[nodiscard]] F16 linear(F16 x) const { return fma(x, scale, shift); }
  [[nodiscard]] F16 apply(F16 x) const {
    const F16 z = linear(x);
    return select_greater(z, F16::zero(), z, z * slope);
  }
};

}  // namespace wholemount::WM_ISA
