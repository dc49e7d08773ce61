#pragma once

#include <memory>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// Writes a read-through value out: y[n, c, d, h, w] = its LoadTransform applied to x. The operator
/// GraphBuilder inserts before operators that cannot read through a transform.
/// Its gradient is passed on unchanged: the gradient of a read-through value is by convention the
/// one with respect to the transformed value.
[[nodiscard]] std::shared_ptr<const Op> make_apply();

/// Leaky rectifier y = x > 0 ? x : slope * x (slope 0: ReLU), 0 <= slope. Costs nothing at run
/// time: the result is x read through LoadTransform{no statistics, slope}; an x that is itself read
/// through a transform is written out first.
/// Backward: grad_x = x > 0 ? grad_y : slope * grad_y, by the node that computes grad_y where that
/// can (Op::rectified), else by one of its own ("activation_backward"), over grad_y.
/// Throws ConfigError when slope is negative or not finite.
ValueId activation(GraphBuilder& builder, float slope, ValueId x, const std::string& name);

}  // namespace wholemount
