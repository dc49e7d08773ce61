#include "wholemount/plan/time_model.h"

#include <algorithm>

namespace wholemount {

double TimeModel::seconds(const Kernel& kernel, double unread_bytes) const {
  KernelWork work = work_of(kernel);
  work.bytes = std::max(0.0, work.bytes - unread_bytes);
  if (const auto cost = kernel_costs.find(kernel.name()); cost != kernel_costs.end()) {
    return cost->second.seconds(work);
  }
  return std::max(work.flops / (0.5 * peak_flops_per_second),
                  work.bytes / (0.7 * copy_bytes_per_second)) +
         work.phases * dispatch_seconds;
}

TimeModel default_time_model(int num_threads) {
  TimeModel model;
  model.machine = "not calibrated";
  model.peak_flops_per_second = 60e9 * num_threads;
  model.copy_bytes_per_second = 8e9 * std::min(num_threads, 8);
  model.dispatch_seconds = 5e-6;
  model.disk_read_bytes_per_second = 1e9;
  model.disk_write_bytes_per_second = 5e8;
  model.disk_request_seconds = 1e-4;
  model.disk_compute_share = 0.05;
  return model;
}

}  // namespace wholemount
