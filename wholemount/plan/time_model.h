#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "wholemount/plan/kernel_cost.h"

namespace wholemount {

/// What `calibrate` measured on this machine, for one instruction set and number of threads.
/// A kernel takes what the costs of its class come to; one of a class that was not measured takes
/// max(flops / (peak / 2), bytes / (0.7 * copy bandwidth)) + phases * dispatch_seconds.
struct TimeModel {
  std::string machine;  ///< CPU model, instruction set and threads it was measured with
  double peak_flops_per_second = 0;
  double copy_bytes_per_second = 0;  ///< read + written bytes of a large copy
  double dispatch_seconds = 0;       ///< cost of starting one phase on all threads
  /// Direct I/O in large blocks while all threads compute; reading R and writing W bytes at the
  /// same time takes R / read + W / write seconds.
  double disk_read_bytes_per_second = 0;
  double disk_write_bytes_per_second = 0;
  double disk_request_seconds = 0;  ///< of each request, beside the time of its bytes
  double disk_compute_share = 0;    ///< of compute time, lost while the disk is busy
  std::map<std::string, KernelCost> kernel_costs;  ///< by Kernel::name()
  bool measured = false;  ///< false: the built-in guess, used until `calibrate` has run

  /// Predicted seconds of one run of the kernel, which need not move `unread_bytes` of its traffic.
  [[nodiscard]] double seconds(const Kernel& kernel, double unread_bytes = 0) const;
};

/// A conservative guess for a machine nothing was measured on: a few GFLOPS and GB/s per thread.
[[nodiscard]] TimeModel default_time_model(int num_threads);

}  // namespace wholemount
