#include "wholemount/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wholemount {
namespace {

double plateau_rate(const ScheduleSpec& spec, double rate, std::span<const double> losses) {
  double best = std::numeric_limits<double>::infinity();
  int64_t failures = 0;
  for (const double loss : losses) {
    if (loss < best - spec.min_delta) {
      best = loss;
      failures = 0;
      continue;
    }
    if (++failures >= spec.patience) {
      failures = 0;
      // A base rate below min_rate is the user's wish and stays.
      rate = std::min(rate, std::max(rate * spec.factor, spec.min_rate));
    }
  }
  return rate;
}

double polynomial_rate(const ScheduleSpec& spec, double base, int64_t step, int64_t total) {
  const double done =
      total <= 0 ? 1.0
                 : std::clamp(static_cast<double>(step) / static_cast<double>(total), 0.0, 1.0);
  return spec.end_rate + (base - spec.end_rate) * std::pow(1.0 - done, spec.power);
}

}  // namespace

double scaled_rate(const ScheduleSpec& spec, double base_rate, int64_t batch) {
  if (!spec.reference_batch) return base_rate;
  return std::min(spec.max_rate, base_rate * static_cast<double>(batch) /
                                     static_cast<double>(*spec.reference_batch));
}

double learning_rate(const ScheduleSpec& spec, double base_rate, const SchedulePoint& point) {
  switch (spec.kind) {
    case ScheduleKind::constant:
      return base_rate;
    case ScheduleKind::plateau:
      return plateau_rate(spec, base_rate, point.validation_losses);
    case ScheduleKind::poly:
      return polynomial_rate(spec, base_rate, point.step, point.total_steps);
    case ScheduleKind::warmup_poly:
      break;
  }
  const auto warmup = static_cast<int64_t>(
      std::min(static_cast<double>(point.total_steps),
               std::round(spec.warmup_epochs * static_cast<double>(point.steps_per_epoch))));
  if (point.step < warmup) {
    return spec.start_rate + (base_rate - spec.start_rate) * static_cast<double>(point.step) /
                                 static_cast<double>(warmup);
  }
  return polynomial_rate(spec, base_rate, point.step - warmup, point.total_steps - warmup);
}

}  // namespace wholemount
