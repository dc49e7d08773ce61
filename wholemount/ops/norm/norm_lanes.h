#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// Inner loops of the norm kernels. They see runs of 16-float vectors and know nothing of layouts:
/// the lanes are the channels of a block (blocked16) or sixteen neighbouring voxels of one channel
/// (plain). Per-lane parameters point to 16 floats. Partial sums are float32 over at most 512
/// vectors, then float64.

/// p1 = sum dz', p2 = sum dz' * (x - mean) * rstd with dz' = grad * (z > 0 ? 1 : slope),
/// z = fma(x, scale, shift), for each lane; overwrites p1[16] and p2[16].
struct LaneGradientSums {
  const void* x;
  bool bfloat16;  ///< what x holds; else float32
  const float* grad;
  int64_t num_vectors;
  const float* mean;
  const float* rstd;
  const float* scale;
  const float* shift;
  float slope;
  double* p1;
  double* p2;
};

/// out = a * dz' + (b * (x - mean) + c); grad == nullptr stands for zero; out may be grad.
struct LaneGradientApply {
  const void* x;
  bool bfloat16;  ///< what x holds; else float32
  const float* grad;
  float* out;
  int64_t num_vectors;
  const float* mean;
  const float* scale;
  const float* shift;
  float slope;
  const float* a;
  const float* b;
  const float* c;
};

// clang-format off
WM_DECLARE_PER_ISA(
/// Mean and sum of squared deviations of each lane over num_vectors vectors: two passes over
/// pieces that stay in the first-level cache, so neither a large mean nor a drift hurts, merged in
/// float64 (Chan, Golub, LeVeque 1979). Overwrites mean[16] and m2[16].
void lane_moments(const float* x, int64_t num_vectors, double* mean, double* m2);
void lane_gradient_sums(const LaneGradientSums& run);
void lane_gradient_apply(const LaneGradientApply& run);
)
// clang-format on

}  // namespace wholemount
