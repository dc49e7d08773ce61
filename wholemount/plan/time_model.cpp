#include "wholemount/plan/time_model.h"

#include <algorithm>

namespace wholemount {

double TimeModel::seconds(const Kernel& kernel) const {
  const std::string name = kernel.name();
  const auto flops = static_cast<double>(kernel.flops());
  const auto bytes = static_cast<double>(kernel.traffic_bytes());
  const double overhead = kernel.num_phases() * dispatch_seconds;
  if (const auto rate = flops_per_second.find(name); rate != flops_per_second.end()) {
    return flops / rate->second + overhead;
  }
  if (const auto rate = bytes_per_second.find(name); rate != bytes_per_second.end()) {
    return bytes / rate->second + overhead;
  }
  return std::max(flops / (0.5 * peak_flops_per_second), bytes / (0.7 * copy_bytes_per_second)) +
         overhead;
}

TimeModel default_time_model(int num_threads) {
  TimeModel model;
  model.machine = "not calibrated";
  model.peak_flops_per_second = 60e9 * num_threads;
  model.copy_bytes_per_second = 8e9 * std::min(num_threads, 8);
  model.dispatch_seconds = 5e-6;
  model.disk_read_bytes_per_second = 1e9;
  model.disk_write_bytes_per_second = 5e8;
  model.disk_compute_share = 0.05;
  return model;
}

}  // namespace wholemount
