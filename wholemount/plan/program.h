#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// One node execution of a Program.
struct Step {
  NodeId node = kNone;
  std::shared_ptr<const Kernel> kernel;
  size_t shared_scratch_offset = 0;  ///< in the arena
  size_t thread_scratch_offset = 0;  ///< of thread 0; one region of thread_scratch_pitch each
  size_t thread_scratch_pitch = 0;
  double seconds = 0;  ///< predicted
};

/// What occupies the arena during a step, for the memory timeline and `plan`.
struct ArenaUse {
  enum class Kind : uint8_t { activation, gradient, scratch };
  std::string name;
  Kind kind = Kind::activation;
  size_t bytes = 0;
  int32_t first_step = 0;
  int32_t last_step = 0;
  size_t offset = 0;
};

/// A graph with kernels, an order of steps and arena offsets: everything decided before anything
/// runs. Immutable; holds no tensor memory. May be shared between threads.
struct Program {
  std::shared_ptr<const Graph> graph;
  Target target;
  int num_threads = 1;
  std::vector<Step> steps;
  /// By ValueId: offset of the value's memory in the arena; kNoOffset for values that have none
  /// there (inputs, parameters, aliases, unused ones).
  std::vector<size_t> offsets;
  std::vector<ArenaUse> uses;
  size_t arena_bytes = 0;
  /// Largest sum of bytes that must be live at one step under this order.
  size_t lower_bound_bytes = 0;
  int32_t peak_step = 0;
  int64_t flops = 0;
  double seconds = 0;  ///< predicted for one run

  static constexpr size_t kNoOffset = SIZE_MAX;
};

}  // namespace wholemount
