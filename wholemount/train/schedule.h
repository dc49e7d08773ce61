#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace wholemount {

enum class ScheduleKind : uint8_t { constant, plateau, poly, warmup_poly };

/// `train.schedule` of the configuration.
struct ScheduleSpec {
  ScheduleKind kind = ScheduleKind::constant;
  double factor = 0.2;       ///< plateau: the rate is multiplied by it
  int64_t patience = 5;      ///< plateau: evaluations without improvement before that
  double min_rate = 1e-4;    ///< plateau: never below
  double min_delta = 1e-4;   ///< plateau: a smaller decrease of the loss is no improvement
  double power = 0.9;        ///< poly, warmup-poly
  double end_rate = 0.0;     ///< poly, warmup-poly: rate after the last update
  double start_rate = 1e-3;  ///< warmup-poly: rate of the first update
  double warmup_epochs = 5;  ///< warmup-poly: epochs from start_rate to the base rate
  /// Linear scaling (Goyal et al. 2017): the base rate belongs to this batch. None: to any.
  std::optional<int64_t> reference_batch;
  double max_rate = 1e6;  ///< linear scaling: cap of the base rate

  friend bool operator==(const ScheduleSpec&, const ScheduleSpec&) = default;
};

/// Where a run stands. Everything a rate may depend on.
struct SchedulePoint {
  int64_t step = 0;  ///< updates done so far, i.e. index of the coming one
  int64_t steps_per_epoch = 1;
  int64_t total_steps = 1;  ///< of the whole run
  /// Validation loss of every evaluation so far, oldest first; NaN counts as no improvement.
  std::span<const double> validation_losses;
};

/// The base rate of an update of `batch` samples: base * batch / reference_batch, at most max_rate;
/// without a reference batch the base itself. Paper B: 0.001 for 32 gives 0.008 for 256.
[[nodiscard]] double scaled_rate(const ScheduleSpec& spec, double base_rate, int64_t batch);

/// The learning rate of the coming update; a pure function, so resuming needs no scheduler state
/// but the history.
///
/// - constant: base
/// - plateau: base * factor^k, not below min_rate (nor raised to it), where k counts how often
///   `patience` evaluations in a row failed to fall below the best loss by more than min_delta;
///   the count of failures restarts after each reduction
/// - poly, with T = total_steps, s = step: end + (base - end) * (1 - s / T)^power
/// - warmup-poly, with W = min(T, round(warmup_epochs * steps_per_epoch)):
///   start + (base - start) * s / W for s < W, then end + (base - end) * (1 - (s - W) / (T -
///   W))^power
///
/// Example: poly, base 0.01, power 0.9, T = 1000 gives 0.00536 at step 500.
[[nodiscard]] double learning_rate(const ScheduleSpec& spec, double base_rate,
                                   const SchedulePoint& point);

}  // namespace wholemount
