#pragma once

#include <string>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/pool/pool_spec.h"

namespace wholemount {

/// Mean of each window: y[n, c, o] = sum over the voxels v of window o inside x, of x[n, c, v] /
/// their number (padding is not counted); sizes as for max_pool(). x may be read through a
/// LoadTransform. A kernel as large as x is the global average.
///
/// Backward ("average_pool_backward"): grad_x[v] = base[v] + sum over the windows o that hold v, of
/// grad_y[o] / number of voxels of o; it adds onto the gradient already gathered for x, in place
/// where possible, and does not read x. Planned scratch: one row a thread.
///
/// Throws ConfigError for a spec without meaning, ShapeError when x is smaller than one window.
ValueId average_pool(GraphBuilder& builder, const PoolSpec& spec, ValueId x,
                     const std::string& name);

}  // namespace wholemount
