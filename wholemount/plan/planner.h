#pragma once

#include <memory>

#include "wholemount/plan/program.h"
#include "wholemount/plan/time_model.h"

namespace wholemount {

/// What a plan is made for. The number of threads sizes the scratch only; it changes no bits.
struct PlanSpec {
  Target target;
  int num_threads = 1;
  /// Tests: every value gets memory of its own, so that sharing mistakes show.
  bool unshared = false;
};

/// Turns a graph into a Program.
///
///   graph -> drop what nobody wants -> prepare kernels -> liveness (with in-place reuse where an
///   operator allows it) -> pack -> predicted bytes and seconds
///
/// A value lives from the step that writes it to the last step that reads it (to the end when
/// `keep` is set). A read through a LoadTransform keeps the stored value and its statistics alive.
/// Scratch lives for one step. Nothing is allocated but the description.
/// Throws ShapeError from kernels' prepare.
[[nodiscard]] std::shared_ptr<const Program> plan(std::shared_ptr<const Graph> graph,
                                                  const PlanSpec& spec, const TimeModel& time);

}  // namespace wholemount
