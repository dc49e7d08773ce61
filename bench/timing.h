#pragma once

#include <functional>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount::bench {

[[nodiscard]] double median(std::vector<double> values);

/// Wall time; on one thread its CPU time, which other processes cannot spoil.
[[nodiscard]] double now(int threads);

/// Seconds of one call of `run`, over at least 40 ms.
[[nodiscard]] double seconds_of(const std::function<void()>& run, int threads);

/// Multiply-add operations per second in registers, over 30 ms.
[[nodiscard]] double peak_flops_of(ThreadPool& pool, Isa isa);

/// A copy of one buffer to another, each far larger than what the caches of one core hold: the
/// yardstick of kernels that are bound by memory. Holds twice `bytes`.
class CopyYardstick {
 public:
  CopyYardstick(ThreadPool& pool, size_t bytes);
  /// Bytes read plus written per second by one copy.
  [[nodiscard]] double bytes_per_second();

 private:
  ThreadPool& pool_;
  PageBuffer from_;
  PageBuffer to_;
};

}  // namespace wholemount::bench
