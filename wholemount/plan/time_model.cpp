#include "wholemount/plan/time_model.h"

#include <algorithm>

namespace wholemount {

double TimeModel::seconds(const Kernel& kernel) const {
  const std::string name = kernel.name();
  const auto flops_rate = flops_per_second.find(name);
  const auto bytes_rate = bytes_per_second.find(name);
  const double by_flops =
      static_cast<double>(kernel.flops()) /
      (flops_rate != flops_per_second.end() ? flops_rate->second : peak_flops_per_second * 0.5);
  const double by_bytes =
      static_cast<double>(kernel.traffic_bytes()) /
      (bytes_rate != bytes_per_second.end() ? bytes_rate->second : copy_bytes_per_second * 0.7);
  return std::max(by_flops, by_bytes) + kernel.num_phases() * dispatch_seconds;
}

TimeModel default_time_model(int num_threads) {
  TimeModel model;
  model.machine = "not calibrated";
  model.peak_flops_per_second = 60e9 * num_threads;
  model.copy_bytes_per_second = 8e9 * std::min(num_threads, 8);
  model.dispatch_seconds = 5e-6;
  return model;
}

}  // namespace wholemount
