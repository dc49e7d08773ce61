#include "wholemount/base/parallel/machine_rates.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/simd/fma_peak.h"

namespace wholemount {

double measure_peak_flops(ThreadPool& pool, Isa isa, double seconds) {
  const auto rounds = WM_PICK_ISA(isa, fma_rounds);
  const auto threads = static_cast<size_t>(pool.num_threads());
  std::vector<double> flops(threads * 8, 0.0);
  const double begin = monotonic_seconds();
  // One task per thread; each works until the time is up, so a thread that starts late counts less.
  pool.run(static_cast<int64_t>(threads), [&](int64_t task, int) {
    float sink[16];
    double done = 0.0;
    while (monotonic_seconds() - begin < seconds) {
      done += static_cast<double>(rounds(20000, sink));
    }
    flops[static_cast<size_t>(task) * 8] = done;
  });
  const double elapsed = monotonic_seconds() - begin;
  double total = 0.0;
  for (size_t i = 0; i < flops.size(); i += 8) {
    total += flops[i];
  }
  return total / elapsed;
}

double measure_copy_bytes_per_second(ThreadPool& pool, size_t buffer_bytes) {
  const PageBuffer source(buffer_bytes);
  const PageBuffer destination(buffer_bytes);
  constexpr size_t kTaskBytes = size_t{1} << 20;
  const auto num_tasks = static_cast<int64_t>(buffer_bytes / kTaskBytes);
  double best = 0.0;
  constexpr int kRounds = 6;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = monotonic_seconds();
    pool.run(num_tasks, [&](int64_t task, int) {
      const size_t offset = static_cast<size_t>(task) * kTaskBytes;
      if (round == 0) {
        std::memset(source.data() + offset, 1, kTaskBytes);
      }
      std::memcpy(destination.data() + offset, source.data() + offset, kTaskBytes);
    });
    const double elapsed = monotonic_seconds() - begin;
    if (round > 0) {
      best = std::max(best, 2.0 * static_cast<double>(num_tasks) * kTaskBytes / elapsed);
    }
  }
  return best;
}

double measure_dispatch_seconds(ThreadPool& pool) {
  std::vector<double> seconds;
  for (int i = 0; i < 201; ++i) {
    const double begin = monotonic_seconds();
    pool.run(pool.num_threads(), [](int64_t, int) {});
    seconds.push_back(monotonic_seconds() - begin);
  }
  std::nth_element(seconds.begin(), seconds.begin() + 100, seconds.end());
  return seconds[100];
}

}  // namespace wholemount
