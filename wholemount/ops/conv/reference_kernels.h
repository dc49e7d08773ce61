#pragma once

#include <memory>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// Plain loops by the definition, for float32 and float64 tensors of either layout; sums in
/// float64.
[[nodiscard]] std::shared_ptr<const Kernel> make_reference_correlation(
    const CorrelationProblem& problem, std::string reason);
[[nodiscard]] std::shared_ptr<const Kernel> make_reference_weight_gradient(
    const WeightGradientProblem& problem, std::string reason);

}  // namespace wholemount
