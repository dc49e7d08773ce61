#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

struct LaneMoments;

/// Joins the moments of `num_vectors` > 0 vectors of sixteen, one behind another, to `all`.
WM_DECLARE_PER_ISA(void row_moments(const float* x, int64_t num_vectors, LaneMoments& all);)

}  // namespace wholemount
