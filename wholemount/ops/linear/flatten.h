#pragma once

#include <memory>

#include "wholemount/graph/op.h"

namespace wholemount {

/// "flatten": inputs {t0, t1, ...}, of one sample each and of any shapes -> {row}, plain
/// [1, 1, 1x1xcount]: the values of t0 in the order [c][d][h][w], then those of t1, and so on:
///   row(i) = t(c, d, h, w), i = ((c * D + d) * H + h) * W + w (plus what stands before).
/// Inputs are read through their LoadTransforms; the row accumulates on request. Scratch: sixteen
/// channels of the largest input for each thread. Throws ShapeError on more than one sample.
[[nodiscard]] std::shared_ptr<const Op> make_flatten();

}  // namespace wholemount
