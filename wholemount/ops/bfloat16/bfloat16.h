#pragma once

#include <memory>

#include "wholemount/graph/op.h"

namespace wholemount {

/// Storage of values in half their bytes, for the planner's `half` policy. bfloat16 is the upper
/// half of a float32: the same range, 8 bits of significand, so that a normal number is off by at
/// most 2^-8 of itself, and by 0.4 of that in the root mean square.

/// Inputs {x: f32}, outputs {y: bf16 of x's shape and layout}: x rounded to nearest, ties to even;
/// infinities stay, what rounds beyond the largest bfloat16 becomes one, NaN stays NaN. Padding
/// lanes stay zero. infer throws ShapeError for another type. Not differentiable: the planner puts
/// it into differentiated graphs.
[[nodiscard]] std::shared_ptr<const Op> make_to_bfloat16();

/// Inputs {y: bf16}, outputs {x: f32 of y's shape and layout}; exact, so that rounding the result
/// again gives the same bits.
[[nodiscard]] std::shared_ptr<const Op> make_from_bfloat16();

}  // namespace wholemount
