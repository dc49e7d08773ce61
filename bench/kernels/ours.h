#pragma once

#include <optional>

#include "bench/kernels/rival.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount::bench {

/// Our kernel for one pass; `flops` receives its operations by definition. No value when the pass
/// does not exist (no gradient reaches an image of 1 to 4 channels in a network; it is timed all
/// the same where a kernel exists).
[[nodiscard]] std::unique_ptr<Contestant> make_ours(const LayerCase& layer, Pass pass,
                                                    const Target& target, ThreadPool& pool,
                                                    int64_t& flops, int64_t& bytes);

}  // namespace wholemount::bench
