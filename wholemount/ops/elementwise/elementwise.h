#pragma once

#include <memory>
#include <span>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// y = a + b, element by element; both may be read through LoadTransforms. May overwrite a.
/// The gradient of y goes to a and b unchanged.
[[nodiscard]] std::shared_ptr<const Op> make_add();

/// Adds make_add() to the graph; a and b have the same shape, else ShapeError.
ValueId add(GraphBuilder& builder, ValueId a, ValueId b, const std::string& name);

/// Copies values [n, c_i, d, h, w] behind each other along channels: y has sum(c_i) channels.
/// Inputs may be read through LoadTransforms. For operators that cannot read a list of values;
/// costs one more copy of all of them. Backward ("split") cuts grad_y apart again. Throws
/// ShapeError when n, extents or element types differ, or nothing is given.
ValueId concat(GraphBuilder& builder, std::span<const ValueId> values, const std::string& name);

}  // namespace wholemount
