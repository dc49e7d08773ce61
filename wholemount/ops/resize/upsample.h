#pragma once

#include <cstdint>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

enum class UpsampleMode : uint8_t {
  nearest,  ///< y[o] = x[floor(o / factor)]
  /// Linear between voxel centres (align_corners = false): y[o] = (1 - t) x[i] + t x[i + 1] with
  /// i + t = (o + 1/2) / factor - 1/2 and indices clamped to the edge; on each axis.
  linear,
};

/// Whole factors from 1 to 1024 per axis.
struct UpsampleSpec {
  Extent3 factor{2, 2, 2};
  UpsampleMode mode = UpsampleMode::linear;
};

/// [n, c, d, h, w] -> [n, c, d * factor.d, h * factor.h, w * factor.w]. E.g. factor 2, linear:
/// y[2] = 0.25 x[0] + 0.75 x[1]. x may be read through a LoadTransform.
/// Backward ("upsample_backward") is the exact adjoint, gathered per voxel of x; it reads grad_y
/// only. Planned scratch: one row a thread.
/// Throws ConfigError for a factor out of range, ShapeError when the result leaves 64 bits.
ValueId upsample(GraphBuilder& builder, const UpsampleSpec& spec, ValueId x,
                 const std::string& name);

}  // namespace wholemount
