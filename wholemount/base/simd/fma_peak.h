#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// Runs `iterations` rounds of independent multiply-adds in registers and returns the floating
/// point operations done (2 per multiply-add and lane); the sum of the registers goes to `sink` so
/// that nothing is optimised away. Timing it gives the machine's attainable peak.
WM_DECLARE_PER_ISA(int64_t fma_rounds(int64_t iterations, float* sink);)

}  // namespace wholemount
