#pragma once

#include <span>
#include <string>
#include <vector>

#include "wholemount/ops/norm/norm.h"
#include "wholemount/ops/norm/norm_tasks.h"
#include "wholemount/tensor/moments.h"

namespace wholemount {

/// Writes lane `channel` of the statistics rows.
/// scale = gamma * rstd, shift = beta - mean * scale.
void write_statistics(const TensorView& statistics, int64_t channel, double mean, double variance,
                      double epsilon, double gamma, double beta);
/// Zeroes the lanes from `channels` on.
void clear_statistics_padding(const TensorView& statistics, int64_t channels);

/// Writes or adds element `channel` of a parameter gradient; an output nobody wants is left out.
void write_parameter_gradient(const OutputView& output, int64_t channel, double value);

/// Joins the channels of each group of `channels` / `groups` and writes all outputs of the
/// statistics operator from per-channel moments (`moments` is overwritten).
void finish_statistics(const KernelArgs& args, std::span<Moments> moments,
                       int64_t channels_per_mean, double epsilon);

/// Shapes of the outputs of the statistics operator; throws ShapeError where channels and groups do
/// not fit, or where weight and bias have other sizes.
[[nodiscard]] std::vector<TensorDesc> infer_statistics(const NormSpec& spec,
                                                       std::span<const TensorDesc> inputs,
                                                       int64_t channels, DType dtype,
                                                       const char* op);
/// Throws ShapeError for an epsilon or a number of groups out of range.
void check_norm_spec(const NormSpec& spec, const char* op);
/// "batch", "instance", "group8".
[[nodiscard]] std::string norm_kind_text(const NormSpec& spec);
/// Channels that share a mean.
[[nodiscard]] int64_t channels_per_mean(const NormSpec& spec, int64_t channels);

/// Shape errors common to the norm operators: x is f32 or f64 with n = 1.
void check_norm_volume(const TensorDesc& x, const char* op);
void check_channel_vector(const TensorDesc& desc, int64_t channels, const char* op,
                          const char* what);

}  // namespace wholemount
