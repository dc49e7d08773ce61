#pragma once

#include <memory>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// The first implementation that takes the problem, best first: dense (linear layers),
/// Winograd, Winograd along w (1 to 4 planar channels to more), head (1x1x1 to or from 1 to 4
/// channels), GEMM (kernel = stride), direct, then the reference loops.
/// The kernel's reason() names the refusals before it. Depends on shapes and target only.
[[nodiscard]] std::shared_ptr<const Kernel> choose_correlation(const CorrelationProblem& problem,
                                                               const Target& target);
[[nodiscard]] std::shared_ptr<const Kernel> choose_weight_gradient(
    const WeightGradientProblem& problem, const Target& target);

}  // namespace wholemount
