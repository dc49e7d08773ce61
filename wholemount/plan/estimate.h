#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/plan/program.h"
#include "wholemount/plan/schedule.h"
#include "wholemount/plan/stream_cut.h"

namespace wholemount {

/// Cuts of a tape's kernels, made once for every set of streamed operands.
class StreamCuts {
 public:
  explicit StreamCuts(const Tape& tape) : tape_(tape), known_(tape.steps.size()) {}
  /// nullptr where the step cannot run this way.
  [[nodiscard]] std::shared_ptr<const StreamCut> get(const ScheduledStep& step);

 private:
  const Tape& tape_;
  struct Known {
    uint64_t operands = 0;  ///< bit by bit: streamed or not
    std::shared_ptr<const StreamCut> cut;
  };
  std::vector<std::vector<Known>> known_;  ///< by tape step
};

/// Memory in the arena: one stay of a value, or several that share it (in-place chains).
struct Buffer {
  size_t bytes = 0;
  int32_t first = 0;
  int32_t last = 0;
  int32_t version = kNone;  ///< the first one in it
};

/// A whole value on its way between arena and spill file.
struct PlannedTransfer {
  int32_t version = kNone;
  bool write = false;
  /// A write may begin after this step, a read before it.
  int32_t issue_step = 0;
  /// A write has to be complete after this step, a read before it.
  int32_t wait_step = 0;
};

/// What a schedule takes: bytes at every step, seconds, transfers.
struct Estimate {
  std::vector<Buffer> buffers;
  std::vector<int32_t> buffer_of;  ///< by version
  std::vector<PlannedTransfer> transfers;
  std::vector<std::shared_ptr<const StreamCut>> cuts;  ///< by step; nullptr when not streamed
  std::vector<size_t> scratch;  ///< by step: shared + all threads' + windows, as they are aligned
  std::vector<size_t> live;     ///< by step: bytes in the arena, scratch included
  std::vector<double> step_seconds;  ///< by step, waiting for the disk included
  size_t peak_bytes = 0;             ///< largest of live
  double seconds = 0;
  double disk_seconds = 0;  ///< the disk is busy
};

struct EstimateSpec {
  double disk_read_bytes_per_second = 0;
  double disk_write_bytes_per_second = 0;
  double disk_request_seconds = 0;     ///< of each request, beside the time of its bytes
  double window_bytes_per_second = 0;  ///< planes that two windows share are copied at; 0: at once
  double disk_compute_share = 0;       ///< of compute time, lost while the disk is busy
  size_t alignment = 64;
  bool unshared = false;  ///< no in-place reuse
};

/// nullopt when a step cannot be streamed as the policies want.
///
/// The disk is one server with the rates of the spec; while it is busy, arithmetic takes a little
/// longer. Streamed steps come first: a step takes the longer of its arithmetic and its transfers,
/// plus the first read and the last write. What is left
/// of the disk's time carries whole values: writes from the moment they are computed on, reads as
/// late as they are in time. A value's memory is held while its transfer goes on.
[[nodiscard]] std::optional<Estimate> estimate(const Tape& tape, const Policies& policies,
                                               const Schedule& schedule, const EstimateSpec& spec,
                                               StreamCuts& cuts);
/// The same into `result`, whose memory is used again; false for nullopt.
[[nodiscard]] bool estimate(const Tape& tape, const Policies& policies, const Schedule& schedule,
                            const EstimateSpec& spec, StreamCuts& cuts, Estimate& result);

}  // namespace wholemount
