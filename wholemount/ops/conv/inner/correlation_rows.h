#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/correlation_plane.h"

namespace wholemount {

/// As correlate_plane(), for several planes whose rows are so short that a register tile holds some
/// of them whole: no column beyond a row is computed, and all planes pass by while a chunk of the
/// weights stays in cache. Sources of pitch 16 and blocked destinations only. `accumulators` holds
/// correlation_row_tile(columns) * columns * num_destinations * 16 floats a tile.
WM_DECLARE_PER_ISA(void correlate_rows(const CorrelationPlane& plane);)
/// Rows of `columns` voxels that a tile holds; 0: this instruction set has no such tile.
WM_DECLARE_PER_ISA(int64_t correlation_row_tile(int64_t columns);)

}  // namespace wholemount
