#pragma once

#include <span>

#include "wholemount/ops/norm/norm_tasks.h"

namespace wholemount {

/// Number of values, mean and sum of squared deviations of a set of values.
struct Moments {
  double count = 0.0;
  double mean = 0.0;
  double m2 = 0.0;

  /// Joins a second set (Chan, Golub, LeVeque 1979); the order of merges fixes the bits.
  void merge(const Moments& other) {
    if (other.count == 0.0) {
      return;
    }
    const double total = count + other.count;
    const double delta = other.mean - mean;
    mean += delta * (other.count / total);
    m2 += other.m2 + delta * delta * (count * (other.count / total));
    count = total;
  }
};

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

/// Shape errors common to the norm operators: x is f32 or f64 with n = 1.
void check_norm_volume(const TensorDesc& x, const char* op);
void check_channel_vector(const TensorDesc& desc, int64_t channels, const char* op,
                          const char* what);

}  // namespace wholemount
