#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/plan/time_model.h"

namespace wholemount {

/// An output that may take over the memory of an input of as many bytes.
struct InPlace {
  int32_t input = 0;
  int32_t output = 0;
};

/// One node that has to run, with what the planner wants to know about it.
struct TapeStep {
  NodeId node = kNone;
  std::shared_ptr<const Kernel> kernel;
  double seconds = 0;  ///< predicted
  size_t shared_scratch_bytes = 0;
  size_t thread_scratch_pitch = 0;
  /// By input of the node: the value whose memory in the arena is read (kNone: absent or memory of
  /// the caller or of the parameter store), and the statistics it is read through.
  std::vector<ValueId> stored;
  std::vector<ValueId> statistics;
  /// By output of the node: the value written in the arena; kNone for the rest.
  std::vector<ValueId> outputs;
  std::vector<InPlace> in_place;  ///< by output, then by input
  /// By input of the node: the seconds saved where the kernel reads the value's half instead (see
  /// Tape::halves); kNotFromHalf where it cannot. Empty: it cannot at all.
  std::vector<double> half_saves;
  static constexpr double kNotFromHalf = -1.0;
  bool backward = false;
  /// May run again for the same bits without side effects: a forward node that writes nothing but
  /// arena values that the caller does not keep.
  bool repeatable = false;
};

/// A second form of a value: rounded to half its bytes after its last forward reading. Backward
/// steps read it as it is where their kernels can (Kernel::reads_bfloat16); for others it is
/// expanded again.
struct HalfStorage {
  ValueId value = kNone;   ///< that holds it
  int32_t shrink = kNone;  ///< the tape step that writes it
  int32_t expand = kNone;  ///< the tape step that writes the value again from it
  int32_t after = kNone;   ///< the last forward step that needs the value itself
};

/// The nodes of a graph that somebody wants, in order, with kernels: the schedule before any
/// memory policy.
struct Tape {
  std::shared_ptr<const Graph> graph;
  int num_threads = 1;
  std::vector<TapeStep> steps;  ///< the graph's own, then those that policies may add
  size_t num_own_steps = 0;
  std::vector<int32_t> producer;              ///< by ValueId: the step that writes it; kNone
  std::vector<std::vector<int32_t>> readers;  ///< by ValueId: steps that read it, rising
  std::vector<size_t> bytes;  ///< by ValueId: its memory in the arena; 0 for values not there

  /// By ValueId of the graph's own values; empty, or with a value of kNone, where a value is never
  /// held in half its bytes.
  std::vector<HalfStorage> halves;

  /// nullptr when the value is never held in half its bytes.
  [[nodiscard]] const HalfStorage* half_of(ValueId value) const {
    const auto v = static_cast<size_t>(value);
    return v < halves.size() && halves[v].value != kNone ? &halves[v] : nullptr;
  }
  /// Whether the step can read the half wherever it reads the value.
  [[nodiscard]] bool reads_half(int32_t step, ValueId value) const {
    const TapeStep& reader = steps[static_cast<size_t>(step)];
    if (reader.half_saves.empty()) return false;
    for (size_t i = 0; i < reader.stored.size(); ++i) {
      if (reader.statistics[i] == value) return false;
      if (reader.stored[i] == value && reader.half_saves[i] < 0) return false;
    }
    return true;
  }
  /// Steps that shrink or expand a value.
  [[nodiscard]] bool is_conversion(int32_t step) const {
    return static_cast<size_t>(step) >= num_own_steps;
  }
  [[nodiscard]] const Node& node_of(size_t step) const {
    return graph->nodes[static_cast<size_t>(steps[step].node)];
  }
};

/// Drops what nobody wants (reached backwards from kept values and parameter gradients) and
/// prepares the kernels. Throws ShapeError from kernels' prepare.
[[nodiscard]] Tape make_tape(std::shared_ptr<const Graph> graph, const Target& target,
                             int num_threads, const TimeModel& time);

}  // namespace wholemount
