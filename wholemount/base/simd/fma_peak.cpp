#include "wholemount/base/simd/fma_peak.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

int64_t fma_rounds(int64_t iterations, float* sink) {
  // Twelve independent vectors cover latency 4-5 times two units; AVX2 splits six of them.
#if defined(__AVX512F__)
  constexpr int kVectors = 12;
#else
  constexpr int kVectors = 6;
#endif
  F16 sums[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    sums[i] = F16::set1(1.0F + 0.01F * static_cast<float>(i));
  }
  const F16 factor = F16::set1(0.999F);
  const F16 term = F16::set1(1e-3F);
  for (int64_t round = 0; round < iterations; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) {
      sums[i] = fma(sums[i], factor, term);
    }
  }
  F16 total = F16::zero();
  for (int i = 0; i < kVectors; ++i) {
    total = total + sums[i];
  }
  total.store(sink);
  return iterations * kVectors * 16 * 2;
}

}  // namespace wholemount::WM_ISA
