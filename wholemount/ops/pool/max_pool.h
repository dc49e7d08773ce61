#pragma once

#include <string>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/pool/pool_spec.h"

namespace wholemount {

/// Maximum of each window: y[n, c, o] = max over k of x[n, c, o * stride - padding + k], on each
/// axis with floor((size + 2 * padding - kernel) / stride) + 1 outputs; e.g. 7 voxels, kernel 2,
/// stride 2: 3 outputs, the last voxel is left out. x may be read through a LoadTransform.
///
/// Backward ("max_pool_backward") hands each grad_y to the place of its maximum, found again by
/// reading x; of equal maxima the first in d, h, w order wins. It adds onto the gradient already
/// gathered for x (a skip connection), in place where possible. Its planned scratch is the places
/// of the maxima of one task (at most a few hundred KiB a thread).
///
/// Throws ConfigError for a spec without meaning, ShapeError when x is smaller than one window.
ValueId max_pool(GraphBuilder& builder, const PoolSpec& spec, ValueId x, const std::string& name);

}  // namespace wholemount
