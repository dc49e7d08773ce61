#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/plan/stream_cut.h"

namespace wholemount {

/// A step that runs window by window on operands in the spill file.
struct StepStream {
  std::shared_ptr<const StreamCut> cut;
  std::vector<size_t> file_offsets;    ///< by streamed tensor
  std::vector<size_t> window_offsets;  ///< in the arena: two windows, one after the other
  std::vector<ValueId> values;         ///< by streamed tensor
};

/// One node execution of a Program.
struct Step {
  NodeId node = kNone;
  std::shared_ptr<const Kernel> kernel;
  size_t shared_scratch_offset = 0;  ///< in the arena
  size_t thread_scratch_offset = 0;  ///< of thread 0; one region of thread_scratch_pitch each
  size_t thread_scratch_pitch = 0;
  double seconds = 0;         ///< predicted, waiting for the disk included
  int64_t traffic_bytes = 0;  ///< the kernel's, less what inputs read as bfloat16 spare
  bool repeated = false;      ///< its node ran before; this run rebuilds a value that was dropped
  std::shared_ptr<const StepStream> stream;  ///< nullptr: all operands are in memory
};

/// A whole value on its way to or from the spill file, beside the steps.
struct Transfer {
  ValueId value = kNone;  ///< whose arena memory is written from or read into
  bool write = false;
  size_t file_offset = 0;
  size_t bytes = 0;        ///< a multiple of kDiskUnit
  int32_t issue_step = 0;  ///< a write begins after this step, a read before it
  int32_t wait_step = 0;   ///< a write is complete after this step, a read before it
  ValueId source = kNone;  ///< the graph's own value that is transferred
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

/// One decision of the search, for `plan`.
struct PolicyNote {
  enum class Kind : uint8_t { recompute, spill, stream, half };
  std::string value;
  std::string reader;  ///< node for which the value is brought back; the writer when streamed out
  Kind kind = Kind::recompute;
  size_t bytes = 0;    ///< of the value
  double seconds = 0;  ///< arithmetic repeated, disk time (mostly hidden behind steps), conversions
};

/// A graph with kernels, an order of steps and arena offsets: everything decided before anything
/// runs. Immutable; holds no tensor memory. May be shared between threads.
struct Program {
  /// The graph that was planned; where values are recomputed or reloaded, with values and nodes
  /// appended for that. Ids of the planned graph stay good.
  std::shared_ptr<const Graph> graph;
  Target target;
  int num_threads = 1;
  std::vector<Step> steps;
  /// By ValueId: offset of the value's memory in the arena; kNoOffset for values that have none
  /// there (inputs, parameters, aliases, unused ones).
  std::vector<size_t> offsets;
  std::vector<ArenaUse> uses;
  std::vector<Transfer> transfers;  ///< in the order in which they are issued
  std::vector<PolicyNote> policies;
  int64_t kept_values = 0;  ///< forward values that stay in the arena until the backward pass
  size_t spill_bytes = 0;   ///< of the spill file
  size_t arena_bytes = 0;
  /// Largest sum of bytes that must be live at one step under this order.
  size_t lower_bound_bytes = 0;
  int32_t peak_step = 0;
  int64_t flops = 0;
  double seconds = 0;       ///< predicted for one run
  double disk_seconds = 0;  ///< of these the disk is busy

  static constexpr size_t kNoOffset = SIZE_MAX;
};

}  // namespace wholemount
