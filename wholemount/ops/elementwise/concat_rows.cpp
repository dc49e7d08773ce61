#include "wholemount/ops/elementwise/concat_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

/// Some neighbouring lanes: reading the others would leave the tensor.
#if defined(__AVX512F__)

struct LaneMask {
  __mmask16 bits;
  LaneMask() = default;
  LaneMask(int32_t first, int32_t last)
      : bits(static_cast<__mmask16>((0xFFFFU >> (16 - (last - first))) << first)) {}
};
inline void load_lanes(F16& y, const LaneMask& mask, const float* x) {
  y.v = _mm512_mask_loadu_ps(y.v, mask.bits, x);
}
inline void set_lanes(F16& y, const LaneMask& mask, const float* x) {
  y.v = _mm512_mask_broadcastss_ps(y.v, mask.bits, _mm_load_ss(x));
}
inline F16 gather_by_sixteen(const float* x) {
  const __m512i index =
      _mm512_slli_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 4);
  return {_mm512_i32gather_ps(index, x, 4)};
}

#elif defined(__AVX2__)

struct LaneMask {
  __m256i lo;
  __m256i hi;
  LaneMask() = default;
  LaneMask(int32_t first, int32_t last) {
    alignas(32) int32_t lanes[16];
    for (int32_t i = 0; i < 16; ++i) lanes[i] = i >= first && i < last ? -1 : 0;
    lo = _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes));
    hi = _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes + 8));
  }
};
inline void load_lanes(F16& y, const LaneMask& mask, const float* x) {
  y.lo = _mm256_or_ps(y.lo, _mm256_maskload_ps(x, mask.lo));
  y.hi = _mm256_or_ps(y.hi, _mm256_maskload_ps(x + 8, mask.hi));
}
inline void set_lanes(F16& y, const LaneMask& mask, const float* x) {
  const __m256 value = _mm256_broadcast_ss(x);
  y.lo = _mm256_blendv_ps(y.lo, value, _mm256_castsi256_ps(mask.lo));
  y.hi = _mm256_blendv_ps(y.hi, value, _mm256_castsi256_ps(mask.hi));
}
inline F16 gather_by_sixteen(const float* x) {
  alignas(32) float buffer[16];
  for (int i = 0; i < 16; ++i) buffer[i] = x[16 * i];
  return F16::load(buffer);
}

#else

struct LaneMask {
  int32_t first;
  int32_t last;
  LaneMask() = default;
  LaneMask(int32_t begin, int32_t end) : first(begin), last(end) {}
};
inline void load_lanes(F16& y, const LaneMask& mask, const float* x) {
  for (int32_t i = mask.first; i < mask.last; ++i) y.lane[i] = x[i];
}
inline void set_lanes(F16& y, const LaneMask& mask, const float* x) { y.lane[mask.first] = *x; }
inline F16 gather_by_sixteen(const float* x) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = x[16 * i];
  return r;
}

#endif

}  // namespace

void copy_block_row(const CopyBlockRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  for (int64_t i = 0; i < row.count; i += 16) {
    transform.apply(F16::load(row.x + i)).store(row.y + i);
  }
}

void gather_lanes_row(const GatherLanesRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::load(row.slope)};
  LaneMask blocked[16];
  LaneMask plain[16];
  for (int32_t s = 0; s < row.num_blocked; ++s) {
    blocked[s] = LaneMask(row.blocked[s].first, row.blocked[s].last);
  }
  for (int32_t s = 0; s < row.num_plain; ++s) {
    plain[s] = LaneMask(row.plain[s].first, row.plain[s].last);
  }
  for (int64_t v = 0; v < row.count; ++v) {
    F16 y = F16::zero();
    for (int32_t s = 0; s < row.num_blocked; ++s) {
      load_lanes(y, blocked[s], row.blocked[s].x + v * 16);
    }
    for (int32_t s = 0; s < row.num_plain; ++s) set_lanes(y, plain[s], row.plain[s].x + v);
    transform.apply(y).store(row.y + v * 16);
  }
}

void copy_channel_row(const CopyChannelRow& row) {
  const LoadTransform16 transform{F16::set1(row.scale), F16::set1(row.shift), F16::set1(row.slope)};
  int64_t i = 0;
  for (; i + 16 <= row.count; i += 16) {
    const float* x = row.x + i * row.x_stride;
    transform.apply(row.x_stride == 1 ? F16::load(x) : gather_by_sixteen(x)).store(row.y + i);
  }
  if (i == row.count) return;
  float buffer[16] = {};
  for (int64_t k = i; k < row.count; ++k) buffer[k - i] = row.x[k * row.x_stride];
  transform.apply(F16::load(buffer)).store(buffer);
  for (int64_t k = i; k < row.count; ++k) row.y[k] = buffer[k - i];
}

}  // namespace wholemount::WM_ISA
