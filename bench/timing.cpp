#include "bench/timing.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "wholemount/base/clock.h"
#include "wholemount/base/parallel/machine_rates.h"
#include "wholemount/base/simd/fma_peak.h"

namespace wholemount::bench {

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double now(int threads) {
  if (threads > 1) return monotonic_seconds();
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_of(const std::function<void()>& run, int threads) {
  const double begin = now(threads);
  int repeats = 0;
  do {
    run();
    ++repeats;
  } while (now(threads) - begin < 0.04);
  return (now(threads) - begin) / repeats;
}

double peak_flops_of(ThreadPool& pool, Isa isa) {
  if (pool.num_threads() > 1) return measure_peak_flops(pool, isa, 0.03);
  float sink[16];
  const double begin = now(1);
  double done = 0.0;
  while (now(1) - begin < 0.03) {
    done += static_cast<double>(WM_PICK_ISA(isa, fma_rounds)(20000, sink));
  }
  return done / (now(1) - begin);
}

CopyYardstick::CopyYardstick(ThreadPool& pool, size_t bytes)
    : pool_(pool), from_(bytes), to_(bytes) {
  std::memset(from_.data(), 1, bytes);
  std::memset(to_.data(), 1, bytes);
}

double CopyYardstick::bytes_per_second() {
  constexpr size_t kTaskBytes = size_t{1} << 20;
  const auto tasks = static_cast<int64_t>(from_.size() / kTaskBytes);
  const double begin = now(pool_.num_threads());
  pool_.run(tasks, [&](int64_t task, int) {
    const size_t offset = static_cast<size_t>(task) * kTaskBytes;
    std::memcpy(to_.data() + offset, from_.data() + offset, kTaskBytes);
  });
  return 2.0 * static_cast<double>(tasks) * kTaskBytes / (now(pool_.num_threads()) - begin);
}

}  // namespace wholemount::bench
