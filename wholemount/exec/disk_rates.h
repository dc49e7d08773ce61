#pragma once

#include <string>

#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount {

/// Direct I/O of large blocks as spilling does it: one thread reads, one writes, while all threads
/// of the pool compute.
///
/// Reading R and writing W bytes at the same time takes R / read + W / write seconds.
struct DiskRates {
  double read_bytes_per_second = 0;
  double write_bytes_per_second = 0;
  double request_seconds = 0;  ///< of each request, beside the time of its bytes
  /// The part of the compute threads' time that is lost while the disk is busy: transfers take CPU
  /// time and memory bandwidth.
  double compute_share = 0;
};

/// Reads and writes 2 GiB, and again both at once, in 4 GiB of scratch space in `folder` (where
/// less than 32 GiB are free, an eighth of that, at least 1 GiB); takes a few seconds. Throws
/// OutputError as SpillFile does.
[[nodiscard]] DiskRates measure_disk_rates(const std::string& folder, ThreadPool& pool);

}  // namespace wholemount
