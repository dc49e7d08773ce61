#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// What shares a mean and a variance: a channel over all samples of the update (batch), a channel
/// of one sample (instance), a run of channels of one sample (group).
enum class NormKind : uint8_t { batch, instance, group };

/// A norm and the activation after it.
struct NormSpec {
  NormKind kind = NormKind::instance;
  int64_t groups = 1;     ///< group norm: number of groups, a divisor of the channel count
  float epsilon = 1e-5F;  ///< added to the variance; > 0
  float slope = 0.0F;     ///< of the activation for z <= 0: 0 ReLU, 0.01 leaky, 1 none
  bool moving = false;    ///< batch norm at inference: use the moving statistics
};

/// z = gamma * (x - mean) / sqrt(variance + epsilon) + beta, then y = z > 0 ? z : slope * z; the
/// variance is biased (divided by the number of values N).
///
/// Adds one statistics node per sample (batch norm: one that joins all samples), which takes the
/// moments of x from the node that computes it where that can sum them (Op::with_moments; all
/// samples of batch norm) and reads x where it cannot, and returns, per
/// sample, x read through a LoadTransform with scale = gamma * rstd and
/// shift = beta - mean * gamma * rstd: nothing normalised is stored. `xs` holds one value per
/// sample of the graph, all with n = 1 and the same channel count C; extents may differ. What is
/// itself read through a transform is written out first.
///
/// Declares name + ".weight" (gamma, ones) and name + ".bias" (beta, zeros), and for batch norm
/// name + ".running_mean" (zeros) and name + ".running_var" (ones), all plain [1, 1, 1x1xC]. In
/// training the "gradient" of a moving statistic is the value observed in the update: the mean,
/// and the unbiased variance M2 / (N - 1) (0 when N = 1).
///
/// Memory: statistics_desc(C) per statistics node. Throws ShapeError (channel counts, groups,
/// n > 1, epsilon <= 0) and ConfigError (`moving` without batch norm).
std::vector<ValueId> norm_activation(GraphBuilder& builder, const NormSpec& spec,
                                     std::span<const ValueId> xs, const std::string& name);

}  // namespace wholemount
