#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "wholemount/plan/planner.h"
#include "wholemount/predict/inference_graph.h"

namespace wholemount {

/// An inference graph with its plan.
struct InferenceProgram {
  Extent3 extent;
  InferenceGraph graph;
  std::shared_ptr<const Program> program;
};

/// Plans inference programs on demand, one per padded shape, and keeps the last few (descriptions,
/// no tensor memory).
class InferencePrograms {
 public:
  static constexpr size_t kKept = 48;

  InferencePrograms(Network network, InferenceSpec inference, PlanSpec spec, TimeModel time);

  /// The program for one image of this padded extent. The reference is good until kKept other
  /// shapes have been asked for.
  const InferenceProgram& get(const Extent3& extent);

  /// See PlanSpec::arena_budget_bytes; forgets the programs planned before.
  void set_arena_budget(size_t bytes);
  /// The same for programs planned from now on; those planned before stay.
  void keep_arena_budget(size_t bytes) { spec_.arena_budget_bytes = bytes; }

 private:
  Network network_;
  InferenceSpec inference_;
  PlanSpec spec_;
  TimeModel time_;
  std::list<InferenceProgram> programs_;  ///< most recently used first
};

}  // namespace wholemount
