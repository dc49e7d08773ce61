#pragma once

#include <memory>
#include <string>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// Kernels for convolutions whose kernel covers the whole image (linear layers): a matrix of the
/// weights [c_out][c, d, h, w] times a few vectors, limited by the reading of the weights. They
/// take float32 tensors without padding or dilation and with one output voxel.
///
/// Forward: rows times the flattened input. Data gradient: columns. Weight gradient: outer
/// products. Phase 0 flattens the activations into shared scratch (their size once more), phase 1
/// works through the weights.
[[nodiscard]] std::string dense_refusal(const CorrelationProblem& problem);
[[nodiscard]] std::string dense_refusal(const WeightGradientProblem& problem);
[[nodiscard]] std::shared_ptr<const Kernel> make_dense_correlation(
    const CorrelationProblem& problem, Isa isa, std::string reason);
[[nodiscard]] std::shared_ptr<const Kernel> make_dense_weight_gradient(
    const WeightGradientProblem& problem, Isa isa, std::string reason);

}  // namespace wholemount
