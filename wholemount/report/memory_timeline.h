#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/plan/program.h"

namespace wholemount {

/// Bytes in use during one update that do not change from step to step.
struct ConstantMemory {
  std::string name;
  size_t bytes = 0;
};

/// What is live in the arena at each step of a program, by kind.
struct MemoryTimeline {
  std::vector<size_t> activations;  ///< by step
  std::vector<size_t> gradients;
  std::vector<size_t> scratch;
  std::vector<ConstantMemory> constants;  ///< lowest first
  size_t peak_step = 0;
  std::string peak_node;
  bool peak_in_backward = false;
  size_t first_backward_step = 0;  ///< number of steps where there is none

  [[nodiscard]] size_t num_steps() const { return activations.size(); }
  /// Sum of the kinds: equal to live_bytes (pack/pack.h) of the program's uses.
  [[nodiscard]] size_t live(size_t step) const {
    return activations[step] + gradients[step] + scratch[step];
  }
  [[nodiscard]] size_t constant_bytes() const;
};

/// Adds up Program::uses, rounded up to 64 bytes each as the planner places them.
[[nodiscard]] MemoryTimeline memory_timeline(const Program& program);

/// A figure: stacked areas over steps, constant bands below, the peak labelled with its node.
/// Programs of more than 600 steps are drawn by the fullest step of each piece.
[[nodiscard]] std::string render_memory_timeline(const MemoryTimeline& timeline);

}  // namespace wholemount
