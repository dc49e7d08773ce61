#pragma once

#include <memory>
#include <string>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// Kernels for 1x1x1 convolutions between blocked activations and a planar tensor of 1 to 4
/// channels: the head of a segmentation network, in all passes. They are limited by reading or
/// writing the blocked tensor once, row by row, without scratch for activations.
[[nodiscard]] std::string head_refusal(const CorrelationProblem& problem);
[[nodiscard]] std::string head_refusal(const WeightGradientProblem& problem);
[[nodiscard]] std::shared_ptr<const Kernel> make_head_correlation(const CorrelationProblem& problem,
                                                                  Isa isa, std::string reason);
[[nodiscard]] std::shared_ptr<const Kernel> make_head_weight_gradient(
    const WeightGradientProblem& problem, Isa isa, std::string reason);

}  // namespace wholemount
