#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// Samples a dense_* function takes at once: each row of the weights is read once for all of them.
inline constexpr int32_t kDenseSamples = 4;
/// Rows of the weights it takes at once, at most.
inline constexpr int32_t kDenseRows = 4;

/// sums[r][s] = sum over i < count of weights[r * row_pitch + i] * values[s][i]: rows of a matrix
/// times samples. Float32 sums over 4,096 values are joined in float64.
struct DenseDot {
  const float* weights;
  int64_t row_pitch;  ///< floats
  int32_t num_rows;   ///< 1 .. kDenseRows
  const float* values[kDenseSamples];
  int32_t num_samples;  ///< 1 .. kDenseSamples
  int64_t count;
  double sums[kDenseRows][kDenseSamples];
};
WM_DECLARE_PER_ISA(void dense_dot(DenseDot& dot);)

/// sums[s][j] = sum over r < num_rows of weights[r * row_pitch + j] * factors[s][r], j < count.
/// The rows are added in rising order, eight at a time.
struct DenseColumns {
  const float* weights;
  int64_t row_pitch;  ///< floats
  int64_t num_rows;
  const float* factors[kDenseSamples];
  int32_t num_samples;  ///< 1 .. kDenseSamples
  int64_t count;
  float* sums[kDenseSamples];
};
WM_DECLARE_PER_ISA(void dense_columns(const DenseColumns& columns);)

/// out[j] (= or +=) sum over s < num_samples of factors[s * factor_pitch] * values[s *
/// value_pitch + j], j < count: one row of an outer product; samples are added in rising order.
struct DenseOuterRow {
  const float* values;
  int64_t value_pitch;
  const float* factors;
  int64_t factor_pitch;
  int64_t num_samples;
  int64_t count;
  float* out;
  bool accumulate;
};
WM_DECLARE_PER_ISA(void dense_outer_row(const DenseOuterRow& row);)

}  // namespace wholemount
