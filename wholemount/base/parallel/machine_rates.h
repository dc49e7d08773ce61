#pragma once

#include "wholemount/base/cpu.h"
#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount {

/// Multiply-add operations per second (2 per multiply-add) all threads of the pool reach together
/// in registers, measured for about `seconds`.
[[nodiscard]] double measure_peak_flops(ThreadPool& pool, Isa isa, double seconds);

/// Bytes read plus written per second by a copy of `buffer_bytes` with all threads; the best of a
/// few rounds. Allocates 2 * buffer_bytes while it runs.
[[nodiscard]] double measure_copy_bytes_per_second(ThreadPool& pool, size_t buffer_bytes);

/// Seconds to start and finish one empty phase on all threads (median).
[[nodiscard]] double measure_dispatch_seconds(ThreadPool& pool);

}  // namespace wholemount
