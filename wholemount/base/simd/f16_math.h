#pragma once

#include <stdint.h>
#include <string.h>

#include "wholemount/base/simd/f16.h"

/// Elementary functions and conversions on sixteen lanes; like f16.h only for sources compiled per
/// instruction set. The exponential and the logarithms are within about 2 units in the last place.
namespace wholemount::WM_ISA {

/// 1.5 * 2^23: adding it rounds to an integer, which the low bits of the sum hold.
inline constexpr float kRoundToInteger = 12582912.0F;

#if defined(__AVX512F__)

/// Sixteen bytes as floats 0 .. 255.
inline F16 load_u8(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
/// Bit `bit` of sixteen bytes as 0 or 1.
inline F16 load_bit(const uint8_t* p, int bit) {
  const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm512_cvtepi32_ps(
      _mm512_and_si512(_mm512_srl_epi32(bytes, _mm_cvtsi32_si128(bit)), _mm512_set1_epi32(1)))};
}
/// Integral floats 0 .. 255 to sixteen bytes.
inline void store_u8(F16 a, uint8_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(a.v)));
}
/// 1 / x within 2 units in the last place, for normal x whose reciprocal is normal.
inline F16 reciprocal(F16 x) {
  const __m512 estimate = _mm512_rcp14_ps(x.v);
  const __m512 error = _mm512_fnmadd_ps(x.v, estimate, _mm512_set1_ps(1.0F));
  return {_mm512_fmadd_ps(estimate, error, estimate)};
}
/// Lane-wise a == b ? yes : no.
inline F16 select_equal(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ), no.v, yes.v)};
}
/// a * 2^n for normal a and result, integral n given as kRoundToInteger + n: its low bits are added
/// to the exponent, which takes three cycles less than vscalefps (measured).
inline F16 scale_by_power(F16 a, F16 rounded) {
  const __m512i power = _mm512_slli_epi32(_mm512_castps_si512(rounded.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), power))};
}
/// x = mantissa * 2^exponent with the mantissa in [1, 2), for normal x > 0.
inline void split_float(F16 x, F16& mantissa, F16& exponent) {
  mantissa = {_mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
  exponent = {_mm512_getexp_ps(x.v)};
}

#elif defined(__AVX2__)

namespace detail {
inline __m256i load_eight_u8(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline __m256 bit_of_eight(const uint8_t* p, int bit) {
  const __m256i shifted = _mm256_srl_epi32(load_eight_u8(p), _mm_cvtsi32_si128(bit));
  return _mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(1)));
}
inline __m256 scale_eight_by_power(__m256 a, __m256 rounded) {
  const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(rounded), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), power));
}
inline __m256 mantissa_of(__m256 x) {
  const __m256i bits = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFF));
  return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3F800000)));
}
inline __m256 exponent_of(__m256 x) {
  const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(x), 23);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}
}  // namespace detail

inline F16 load_u8(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(detail::load_eight_u8(p)),
          _mm256_cvtepi32_ps(detail::load_eight_u8(p + 8))};
}
inline F16 load_bit(const uint8_t* p, int bit) {
  return {detail::bit_of_eight(p, bit), detail::bit_of_eight(p + 8, bit)};
}
inline void store_u8(F16 a, uint8_t* p) {
  const __m256i words = _mm256_packus_epi32(_mm256_cvttps_epi32(a.lo), _mm256_cvttps_epi32(a.hi));
  // Packing works within halves: the quarters are 0 .. 3, 8 .. 11, 4 .. 7, 12 .. 15.
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
inline F16 reciprocal(F16 x) { return F16::set1(1.0F) / x; }
inline F16 select_equal(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ)),
          _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ))};
}
inline F16 scale_by_power(F16 a, F16 rounded) {
  return {detail::scale_eight_by_power(a.lo, rounded.lo),
          detail::scale_eight_by_power(a.hi, rounded.hi)};
}
inline void split_float(F16 x, F16& mantissa, F16& exponent) {
  mantissa = {detail::mantissa_of(x.lo), detail::mantissa_of(x.hi)};
  exponent = {detail::exponent_of(x.lo), detail::exponent_of(x.hi)};
}

#else

inline F16 load_u8(const uint8_t* p) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
inline F16 load_bit(const uint8_t* p, int bit) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>((p[i] >> bit) & 1);
  return r;
}
inline void store_u8(F16 a, uint8_t* p) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<uint8_t>(a.lane[i]);
}
inline F16 reciprocal(F16 x) { return F16::set1(1.0F) / x; }
inline F16 select_equal(F16 a, F16 b, F16 yes, F16 no) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = a.lane[i] == b.lane[i] ? yes.lane[i] : no.lane[i];
  return r;
}
inline F16 scale_by_power(F16 a, F16 rounded) {
  F16 r;
  for (int i = 0; i < 16; ++i) {
    uint32_t power;
    uint32_t bits;
    memcpy(&power, &rounded.lane[i], sizeof(power));
    memcpy(&bits, &a.lane[i], sizeof(bits));
    bits += power << 23;
    memcpy(&r.lane[i], &bits, sizeof(bits));
  }
  return r;
}
inline void split_float(F16 x, F16& mantissa, F16& exponent) {
  for (int i = 0; i < 16; ++i) {
    uint32_t bits;
    memcpy(&bits, &x.lane[i], sizeof(bits));
    exponent.lane[i] = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
    bits = (bits & 0x7FFFFFU) | 0x3F800000U;
    memcpy(&mantissa.lane[i], &bits, sizeof(bits));
  }
}

#endif

inline F16 absolute(F16 x) { return max(x, F16::zero() - x); }

/// Chains of dependent operations side by side (N in the functions below): as many as fill the
/// processor's multiply-adds and fit the registers.
#if defined(__AVX512F__)
inline constexpr int kChains = 4;
#else
inline constexpr int kChains = 1;
#endif

/// e^x for x <= 88, in place; arguments are clamped to -87, so the results are normal numbers.
template <int N>
inline void exponentials_up_to_88(F16 (&x)[N]) {
  // ln 2 in two parts, the first with so few bits that n * kLn2High is exact.
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440054690583e-4F;
  F16 rounded[N];
  F16 n[N];
  F16 sum[N];
  const auto each = [](auto step) {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) step(i);
  };
  each([&](int i) { x[i] = max(x[i], F16::set1(-87.0F)); });
  each([&](int i) {
    rounded[i] = fma(x[i], F16::set1(1.44269504088896341F), F16::set1(kRoundToInteger));
  });
  each([&](int i) { n[i] = rounded[i] - F16::set1(kRoundToInteger); });
  each([&](int i) { x[i] = fma(n[i], F16::set1(-kLn2High), x[i]); });
  each([&](int i) { x[i] = fma(n[i], F16::set1(-kLn2Low), x[i]); });
  // 1 + r + r^2 q(r) with q of least greatest relative error, 3e-9, for |r| <= ln(2) / 2.
  each([&](int i) { sum[i] = fma(F16::set1(0.0013814602F), x[i], F16::set1(0.008368716F)); });
  each([&](int i) { sum[i] = fma(sum[i], x[i], F16::set1(0.04166839F)); });
  each([&](int i) { sum[i] = fma(sum[i], x[i], F16::set1(0.16666521F)); });
  each([&](int i) { sum[i] = fma(sum[i], x[i], F16::set1(0.49999994F)); });
  each([&](int i) { sum[i] = sum[i] * x[i]; });
  each([&](int i) { sum[i] = fma(sum[i], x[i], x[i]); });
  each([&](int i) { sum[i] = sum[i] + F16::set1(1.0F); });
  each([&](int i) { x[i] = scale_by_power(sum[i], rounded[i]); });
}

inline F16 exponential_up_to_88(F16 x) {
  F16 one[1] = {x};
  exponentials_up_to_88(one);
  return one[0];
}

/// e^x; arguments are clamped to [-87, 88], so the result is a normal number.
inline F16 exponential(F16 x) { return exponential_up_to_88(min(x, F16::set1(88.0F))); }

/// log(1 + e) for 0 <= e <= 1, as 2 artanh(e / (2 + e)).
inline F16 log_one_plus(F16 e) {
  const F16 s = e * reciprocal(F16::set1(2.0F) + e);
  // artanh(s) = s + s q p(q) with p of least greatest relative error, 5e-9, for q <= 1/9.
  const F16 q = s * s;
  F16 sum = F16::set1(0.14006007F);
  sum = fma(sum, q, F16::set1(0.140009F));
  sum = fma(sum, q, F16::set1(0.20010763F));
  sum = fma(sum, q, F16::set1(0.3333321F));
  const F16 twice = s + s;
  return fma(sum * q, twice, twice);
}

/// log(x) for normal x > 0, in place.
template <int N>
inline void logarithms(F16 (&x)[N]) {
  const F16 one = F16::set1(1.0F);
  const F16 root = F16::set1(1.41421356237309505F);
  F16 n[N];
  F16 q[N];
  F16 sum[N];
  const auto each = [](auto step) {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) step(i);
  };
  each([&](int i) {
    F16 m;
    split_float(x[i], m, n[i]);
    n[i] = select_greater(m, root, n[i] + one, n[i]);
    x[i] = select_greater(m, root, m * F16::set1(0.5F), m);
  });
  each([&](int i) { sum[i] = reciprocal(x[i] + one); });
  each([&](int i) { x[i] = (x[i] - one) * sum[i]; });
  each([&](int i) { q[i] = x[i] * x[i]; });  // <= 0.0295; the polynomial as above, error 1e-9
  each([&](int i) { sum[i] = fma(F16::set1(0.14936908F), q[i], F16::set1(0.19988738F)); });
  each([&](int i) { sum[i] = fma(sum[i], q[i], F16::set1(0.33333388F)); });
  each([&](int i) { sum[i] = sum[i] * q[i]; });
  each([&](int i) { x[i] = x[i] + x[i]; });
  each([&](int i) { x[i] = fma(sum[i], x[i], x[i]); });
  each([&](int i) { x[i] = fma(n[i], F16::set1(-2.12194440054690583e-4F), x[i]); });
  each([&](int i) { x[i] = fma(n[i], F16::set1(0.693359375F), x[i]); });
}

inline F16 logarithm(F16 x) {
  F16 one[1] = {x};
  logarithms(one);
  return one[0];
}

}  // namespace wholemount::WM_ISA
