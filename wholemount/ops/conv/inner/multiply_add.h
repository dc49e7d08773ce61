#pragma once

#include "wholemount/base/simd/f16.h"

/// The multiply-add the inner loops are made of: acc += a * broadcast(x), sixteen lanes. On AVX2 it
/// is volatile assembly: with intrinsics GCC 12 hoists the broadcasts of a whole tile and spills
/// the accumulators, which costs half the speed. With the 32 registers of AVX-512 it does so only
/// when all of them are in use.
namespace wholemount::WM_ISA {

#if defined(__AVX512F__)

using Broadcast = __m512;
inline Broadcast broadcast(const float* x) { return _mm512_set1_ps(*x); }
inline F16 load_operand(const float* a) { return F16::load(a); }
inline void multiply_add(F16& accumulator, const F16& a, const Broadcast& x) {
  accumulator.v = _mm512_fmadd_ps(a.v, x, accumulator.v);
}
/// The same in program order, for tiles that use every register.
inline void multiply_add_in_order(F16& accumulator, const F16& a, const Broadcast& x) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+v"(accumulator.v) : "v"(a.v), "v"(x));
}
/// accumulator += a * *x, in program order, without a register for the broadcast value.
inline void multiply_add_in_order(F16& accumulator, const F16& a, const float* x) {
  asm volatile("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(accumulator.v) : "v"(a.v), "m"(*x));
}
/// accumulator += a * x, x sixteen floats in memory, in program order.
inline void multiply_add_vector(F16& accumulator, const F16& a, const float* x) {
  asm volatile("vfmadd231ps %2, %1, %0"
               : "+v"(accumulator.v)
               : "v"(a.v), "m"(*reinterpret_cast<const __m512_u*>(x)));
}
inline Broadcast broadcast_in_order(const float* x) {
  Broadcast result;
  asm volatile("vbroadcastss %1, %0" : "=v"(result) : "m"(*x));
  return result;
}
/// x[0], x[1], x[0], x[1] ...: two neighbours for the eight even and the eight odd lanes.
inline Broadcast broadcast_pair_in_order(const float* x) {
  struct Pair {
    float value[2];
  };
  Broadcast result;
  asm volatile("vbroadcastsd %1, %0" : "=v"(result) : "m"(*reinterpret_cast<const Pair*>(x)));
  return result;
}
/// a[0], a[0], a[1], a[1] ... a[7], a[7].
inline F16 twice_each_low(F16 a) {
  const __m512i lanes = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  return {_mm512_permutexvar_ps(lanes, a.v)};
}
/// a[8], a[8], a[9], a[9] ... a[15], a[15].
inline F16 twice_each_high(F16 a) {
  const __m512i lanes =
      _mm512_set_epi32(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8);
  return {_mm512_permutexvar_ps(lanes, a.v)};
}
/// a[0], a[2] ... a[14], a[1], a[3] ... a[15].
inline F16 even_then_odd(F16 a) {
  const __m512i lanes = _mm512_set_epi32(15, 13, 11, 9, 7, 5, 3, 1, 14, 12, 10, 8, 6, 4, 2, 0);
  return {_mm512_permutexvar_ps(lanes, a.v)};
}
inline F16 load_in_order(const float* x) {
  F16 result;
  asm volatile("vmovups %1, %0" : "=v"(result.v) : "m"(*reinterpret_cast<const __m512_u*>(x)));
  return result;
}

#elif defined(__AVX2__)

using Broadcast = __m256;
inline Broadcast broadcast(const float* x) {
  Broadcast result;
  asm volatile("vbroadcastss %1, %0" : "=x"(result) : "m"(*x));
  return result;
}
inline F16 load_operand(const float* a) {
  F16 result;
  asm volatile("vmovups %1, %0" : "=x"(result.lo) : "m"(*reinterpret_cast<const __m256_u*>(a)));
  asm volatile("vmovups %1, %0" : "=x"(result.hi) : "m"(*reinterpret_cast<const __m256_u*>(a + 8)));
  return result;
}
inline void multiply_add(F16& accumulator, const F16& a, const Broadcast& x) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(accumulator.lo) : "x"(a.lo), "x"(x));
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(accumulator.hi) : "x"(a.hi), "x"(x));
}

inline void multiply_add_vector(F16& accumulator, const F16& a, const float* x) {
  asm volatile("vfmadd231ps %2, %1, %0"
               : "+x"(accumulator.lo)
               : "x"(a.lo), "m"(*reinterpret_cast<const __m256_u*>(x)));
  asm volatile("vfmadd231ps %2, %1, %0"
               : "+x"(accumulator.hi)
               : "x"(a.hi), "m"(*reinterpret_cast<const __m256_u*>(x + 8)));
}

#else

using Broadcast = float;
inline Broadcast broadcast(const float* x) { return *x; }
inline F16 load_operand(const float* a) { return F16::load(a); }
inline void multiply_add(F16& accumulator, const F16& a, const Broadcast& x) {
  for (int lane = 0; lane < 16; ++lane) accumulator.lane[lane] += a.lane[lane] * x;
}
inline void multiply_add_vector(F16& accumulator, const F16& a, const float* x) {
  for (int lane = 0; lane < 16; ++lane) accumulator.lane[lane] += a.lane[lane] * x[lane];
}

#endif

}  // namespace wholemount::WM_ISA
