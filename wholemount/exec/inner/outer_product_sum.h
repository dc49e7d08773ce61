#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// What happens with the product of one sample (GradientFold::Sample).
struct OuterProductTerm {
  bool accumulate;     ///< joins the newest partial sum, else starts one
  int32_t num_merges;  ///< of the two newest partial sums, afterwards
};

/// out[r * num_columns + c] = the sum over the terms t, in their order, of
/// rows[t * sample_pitch + r] * columns[t * sample_pitch + c], each product and sum rounded.
struct OuterProductSum {
  const OuterProductTerm* terms;
  int64_t num_terms;
  const float* rows;
  int64_t num_rows;
  const float* columns;
  int64_t num_columns;
  int64_t sample_pitch;  ///< floats
  float* out;
};

/// Columns of one call: those of some hundred samples stay in the second cache level, while all
/// rows pass by.
inline constexpr int64_t kOuterProductColumns = 128;

/// The columns from `first` on, at most kOuterProductColumns, of all rows.
WM_DECLARE_PER_ISA(void outer_product_sum(const OuterProductSum& sum, int64_t first);)

}  // namespace wholemount
