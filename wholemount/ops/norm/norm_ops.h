#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "wholemount/graph/op.h"
#include "wholemount/ops/norm/norm.h"

namespace wholemount {

/// The operators norm_activation() and its backward pass are made of. x and z are [1, C, d, h, w];
/// gamma and beta are plain [1, 1, 1x1xC]; statistics are statistics_desc(C). Everything is
/// computed in f32 with f64 folds, or wholly in f64 by the reference kernels.

/// {gamma, beta, x_0 ... x_(S-1)} -> {statistics} and, for batch norm,
/// {statistics, observed mean, observed unbiased variance}.
/// rows: mean, variance = sum (x - mean)^2 / N, rstd = 1 / sqrt(variance + epsilon),
/// scale = gamma * rstd, shift = beta - mean * gamma * rstd; group norm joins the channels of a
/// group, so its rows mean, variance and rstd repeat over a group.
[[nodiscard]] std::shared_ptr<const Op> make_norm_statistics_op(const NormSpec& spec);

/// {gamma, beta, moments_0 ... moments_(S-1)} -> the same outputs, from the moments (moments_desc)
/// of the samples, each of `num_values` values a channel. The gradient is that of a norm of the
/// volumes behind them: output 0 of the nodes that computed them.
[[nodiscard]] std::shared_ptr<const Op> make_norm_from_moments_op(const NormSpec& spec,
                                                                  std::vector<int64_t> num_values);

/// {gamma, beta, running mean, running variance} -> {statistics}, the same rows. Cannot be
/// differentiated (ShapeError).
[[nodiscard]] std::shared_ptr<const Op> make_norm_from_moving_op(float epsilon);

/// {x, statistics} -> {z}, an alias of x; does nothing at run time.
[[nodiscard]] std::shared_ptr<const Op> make_normalise_op(float slope);

/// {x, grad_z, statistics} -> {P}, f64 plain [1, 2, 1x1xround_up(C, 16)]:
/// P1 = sum dz', P2 = sum dz' * (x - mean) * rstd, with
/// dz' = grad_z * (fma(scale, x, shift) > 0 ? 1 : slope).
[[nodiscard]] std::shared_ptr<const Op> make_norm_backward_sums_op(float slope);

/// {gamma, statistics, P_0 ... P_(S-1)} -> {coefficients, grad_gamma, grad_beta}:
/// coefficients plain [1, 3, 1x1xround_up(C, 16)] with rows
/// a = gamma * rstd, b = -rstd^2 * G2 / N, c = -rstd * G1 / N, where Gi = sum gamma * Pi over the
/// samples and the channels that share a mean; grad_gamma = P2, grad_beta = P1 summed over the
/// samples. `num_values` = N, the values behind one mean. `channels_per_mean` = 1, or the size of
/// a group.
[[nodiscard]] std::shared_ptr<const Op> make_norm_backward_fold_op(int64_t num_values,
                                                                   int64_t channels_per_mean);

/// {x, grad_z, statistics, coefficients} -> {grad_x}, grad_x = a * dz' + (b * (x - mean) + c);
/// an absent grad_z counts as zero. Centring x keeps the sum of grad_x at rounding level, so a
/// bias before the norm gets the zero gradient it should.
[[nodiscard]] std::shared_ptr<const Op> make_norm_backward_apply_op(float slope);

/// Rows of the coefficients.
struct NormCoefficientRow {
  enum : int64_t { a = 0, b = 1, c = 2, kNumRows = 3 };
};

}  // namespace wholemount
