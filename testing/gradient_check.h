#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "testing/fill.h"
#include "wholemount/graph/graph.h"

namespace wholemount {

/// A float64 tensor whose gradient check_gradient looks at: a parameter behind a copying node that
/// hands the gradient it receives to the parameter. (Operators that bind the gradients of their
/// parameters themselves - weights, biases - get GraphBuilder::parameter instead.)
ValueId differentiable_input(GraphBuilder& builder, const std::string& name,
                             const TensorDesc& desc);

/// r . y as a scalar [1, 1, 1, 1, 1], with r fixed and random in [-1, 1): a test loss for any
/// value.
ValueId random_projection(GraphBuilder& builder, ValueId y, uint64_t seed, const std::string& name);

struct GradientCheckOptions {
  /// How parameters and inputs are filled, by name; the others are standard normal.
  std::vector<std::pair<std::string, InputFill>> fills;
  /// True: the outputs are losses (scalars that seed themselves) and are summed as they are.
  bool outputs_are_losses = false;
  /// Elements looked at per parameter, spread evenly when there are more.
  int64_t elements_per_parameter = 48;
  /// The largest part of the elements that may lie at a kink (a rectifier's corner or a tie of
  /// maxima within 2h: the one-sided differences disagree there) and is skipped.
  double allowed_kinks = 0.1;
  double step = 1e-5;
  uint64_t seed = 1;
  int32_t num_samples = 1;  ///< of the graph
};

/// Builds a small float64 graph, differentiates a random projection of its outputs, and compares
/// the gradient of every parameter with central differences of the float64 reference kernels.
///
/// Tolerance per element: the truncation error of a central difference is h^2 f''' / 6, a third of
/// the difference between the quotients at 2h and h; the rounding error is eps |f| sqrt(terms) / h.
/// Twice the former and 64 times the latter are granted.
///
/// Fails when a parameter receives no gradient.
void check_gradient(const std::function<std::vector<ValueId>(GraphBuilder&)>& build,
                    const GradientCheckOptions& options = {});

}  // namespace wholemount
