#pragma once

#include <cstdint>
#include <span>

#include "wholemount/data/strided_box.h"

namespace wholemount {

/// Turns of a field by multiples of 15 degrees (paper B's Dataset B).
constexpr int kTurns = 24;

/// The turn of a case in an epoch, 0 to 23: a pure function of the arguments.
[[nodiscard]] int draw_turn(uint64_t seed, uint64_t epoch, uint64_t case_index);

/// Fills `box` (d = 1) of `values` with the field [1, h, w] turned by `turn` * 15 degrees about its
/// centre and cropped around it. Between pixels the field is interpolated linearly; what lies
/// outside it is 0. 724x724 is the largest square whose corners stay inside 1024x1024 whatever the
/// turn; quarter turns move pixels without interpolating. Exact multiples of 90 degrees of a crop
/// whose sides differ from the field's by an odd number fall between pixels.
void turned_crop(std::span<const float> field, const Extent3& extent, int turn, float* values,
                 const StridedBox& box);

}  // namespace wholemount
