#pragma once

#include <cstdint>
#include <vector>

#include "wholemount/plan/policies.h"
#include "wholemount/plan/tape.h"

namespace wholemount {

/// One stay of a value in the arena.
struct Version {
  enum class Origin : uint8_t { computed, recomputed, reloaded, expanded };
  ValueId value = kNone;
  Origin origin = Origin::computed;
  int32_t created = kNone;     ///< schedule step that writes it; of a reload: that reads it first
  std::vector<int32_t> reads;  ///< schedule steps, rising
  Use use;                     ///< of a version that is not computed: the reading it came for
};

/// An input or output of a scheduled step.
struct Operand {
  int32_t version = kNone;  ///< kNone: not in the arena
  bool streamed = false;    ///< then windows of the spill file
  bool half = false;        ///< the version is one of the value's half
};

/// A tape step, or a repetition of one. Steps that expand a value count as repetitions.
struct ScheduledStep {
  int32_t tape_step = kNone;
  int32_t anchor = kNone;  ///< tape step it runs for; = tape_step unless it is a repetition
  std::vector<Operand> stored;
  std::vector<int32_t> statistics;  ///< versions; kNone
  std::vector<Operand> outputs;
  [[nodiscard]] bool repeated() const { return anchor != tape_step; }
};

/// A tape under policies: which steps run in which order, and which stay of which value each of
/// them reads.
struct Schedule {
  std::vector<ScheduledStep> steps;
  std::vector<Version> versions;
  std::vector<bool> on_disk;  ///< by ValueId: some step reads it from the spill file
  /// By ValueId: the version written by the value's own step, kNone when it was streamed out.
  std::vector<int32_t> first_version;
};

/// A value that several policies want at one step is brought there once. A reading without a
/// policy takes the newest stay of the value, which lasts until then. A half is read as it is by
/// the steps that can, expanded for the first that cannot.
[[nodiscard]] Schedule make_schedule(const Tape& tape, const Policies& policies);
/// The same into `result`, whose memory is used again: searches make a schedule every few
/// microseconds.
void make_schedule(const Tape& tape, const Policies& policies, Schedule& result);

}  // namespace wholemount
