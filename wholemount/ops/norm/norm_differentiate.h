#pragma once

#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// Adds the backward pass of a norm of `volumes`, called for its statistics node {gamma, beta,
/// volumes or their moments}: for each x the sums over the gradient of what reads it through the
/// statistics, one fold, and the gradient of x.
void differentiate_norm(const Node& statistics_node, const std::vector<ValueId>& volumes,
                        int64_t channels_per_mean, Differentiation& scope);

/// The slope of the activation when `op` is the normalise operator; nullptr otherwise.
[[nodiscard]] const float* normalise_slope(const Op& op);

}  // namespace wholemount
