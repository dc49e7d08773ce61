#include "wholemount/ops/conv/inner/head_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

float sum_of_lanes(const F16& a) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(a.v);
#elif defined(__AVX2__)
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  float sum = 0.0F;
  for (const float lane : a.lane) sum += lane;
  return sum;
#endif
}

LoadTransform16 transform_of(const HeadBlock& block) {
  return {F16::load(block.scale), F16::load(block.shift), F16::set1(block.slope)};
}

template <class Element>
F16 voxel_of(const HeadBlock& block, int64_t v) {
  return F16::load(static_cast<const Element*>(block.values) + v * 16);
}

template <int kChannels, bool kTransformed, bool kBfloat16>
void logits(const HeadRow& row) {
  for (int64_t v = 0; v < row.count; ++v) {
    F16 sum[kChannels];
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) sum[c] = F16::zero();
    for (int32_t b = 0; b < row.num_blocks; ++b) {
      const HeadBlock& block = row.blocks[b];
      F16 x =
          kBfloat16 && block.bfloat16 ? voxel_of<Bfloat16>(block, v) : voxel_of<float>(block, v);
      if (kTransformed) x = transform_of(block).apply(x);
      const float* weights = row.weights + b * row.channels * 16;
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) sum[c] = fma(F16::load(weights + c * 16), x, sum[c]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) row.out[c][v] = row.bias[c] + sum_of_lanes(sum[c]);
  }
}

template <int kChannels>
void logits_of(const HeadRow& row) {
  bool transformed = false;
  bool bfloat16 = false;
  for (int32_t b = 0; b < row.num_blocks; ++b) {
    transformed = transformed || !row.blocks[b].identity;
    bfloat16 = bfloat16 || row.blocks[b].bfloat16;
  }
  if (bfloat16) {
    transformed ? logits<kChannels, true, true>(row) : logits<kChannels, false, true>(row);
  } else {
    transformed ? logits<kChannels, true, false>(row) : logits<kChannels, false, false>(row);
  }
}

template <int kChannels, bool kStream>
void spread(const SpreadRow& row) {
  F16 weights[kChannels];
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; ++c) weights[c] = F16::load(row.weights + c * 16);
  const F16 bias = F16::load(row.bias);
  for (int64_t v = 0; v < row.count; ++v) {
    F16 sum = bias;
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) sum = fma(weights[c], F16::set1(row.values[c][v]), sum);
    if (kStream) {
      sum.stream(row.out + v * 16);
    } else {
      sum.store(row.out + v * 16);
    }
  }
}

template <int kChannels, bool kTransformed, class Element>
void sums(const HeadSums& row) {
  const LoadTransform16 transform = transform_of(row.block);
  // Several chains hide the latency of the multiply-add.
  constexpr int kChains = kChannels == 1 ? 8 : kChannels == 2 ? 4 : 2;
  F16 sum[kChannels][kChains];
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; ++c) {
#pragma GCC unroll 8
    for (int chain = 0; chain < kChains; ++chain) sum[c][chain] = F16::zero();
  }
  int64_t v = 0;
  for (; v + kChains <= row.count; v += kChains) {
#pragma GCC unroll 8
    for (int chain = 0; chain < kChains; ++chain) {
      F16 x = voxel_of<Element>(row.block, v + chain);
      if (kTransformed) x = transform.apply(x);
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) {
        sum[c][chain] = fma(x, F16::set1(row.factors[c][v + chain]), sum[c][chain]);
      }
    }
  }
  for (; v < row.count; ++v) {
    F16 x = voxel_of<Element>(row.block, v);
    if (kTransformed) x = transform.apply(x);
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) {
      sum[c][0] = fma(x, F16::set1(row.factors[c][v]), sum[c][0]);
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < kChannels; ++c) {
    F16 total = sum[c][0];
#pragma GCC unroll 8
    for (int chain = 1; chain < kChains; ++chain) total = total + sum[c][chain];
    (F16::load(row.sums + c * 16) + total).store(row.sums + c * 16);
  }
}

template <int kChannels, class Element>
void sums_of(const HeadSums& row) {
  row.block.identity ? sums<kChannels, false, Element>(row) : sums<kChannels, true, Element>(row);
}

}  // namespace

#define WM_FOR_CHANNELS(call) \
  switch (row.channels) {     \
    case 1:                   \
      return call(1);         \
    case 2:                   \
      return call(2);         \
    case 3:                   \
      return call(3);         \
    default:                  \
      return call(4);         \
  }

#define WM_LOGITS(channels) logits_of<channels>(row)
#define WM_SPREAD(channels) \
  (row.stream ? spread<channels, true>(row) : spread<channels, false>(row))
#define WM_SUMS(channels) \
  (row.block.bfloat16 ? sums_of<channels, Bfloat16>(row) : sums_of<channels, float>(row))

void head_row(const HeadRow& row) { WM_FOR_CHANNELS(WM_LOGITS) }
void spread_row(const SpreadRow& row) { WM_FOR_CHANNELS(WM_SPREAD) }
void head_sums(const HeadSums& row) { WM_FOR_CHANNELS(WM_SUMS) }

#undef WM_FOR_CHANNELS
#undef WM_LOGITS
#undef WM_SPREAD
#undef WM_SUMS

}  // namespace wholemount::WM_ISA
