#pragma once

#include <cstddef>
#include <memory>

#include "wholemount/plan/half_storage.h"
#include "wholemount/plan/program.h"
#include "wholemount/plan/time_model.h"

namespace wholemount {

/// What a plan is made for. The number of threads sizes the scratch only; it changes no bits.
struct PlanSpec {
  Target target;
  int num_threads = 1;
  /// Tests: every value gets memory of its own, so that sharing mistakes show.
  bool unshared = false;
  /// What the arena may take. Values are recomputed or spilled only as far as that needs.
  size_t arena_budget_bytes = SIZE_MAX;
  bool recompute = true;  ///< steps may be run again
  bool spill = false;     ///< there is a spill file
  /// Set where values may be held in half their bytes between forward and backward pass, and be
  /// read as halves by the steps whose kernels can. The only
  /// policy that is not exact: taken where it saves at least 1 % of the time, or where nothing
  /// exact fits.
  HalfOps half;
  /// Smaller values always stay: statistics, coefficients, deep layers.
  size_t smallest_moved_bytes = size_t{256} << 10;
};

/// Turns a graph into a Program.
///
///   graph -> drop what nobody wants -> prepare kernels -> policies, as the budget wants ->
///   liveness (with in-place reuse where an operator allows it) -> pack -> bytes and seconds
///
/// A value lives from the step that writes it to the last step that reads it (to the end when
/// `keep` is set), unless a policy lets it go in between. A read through a LoadTransform keeps the
/// stored value and its statistics alive. Scratch lives for one step. Nothing is allocated but the
/// description. When the budget cannot be met, the program is the smallest that was found: its
/// arena_bytes is then above the budget, and the least budget that works.
/// Throws ShapeError from kernels' prepare.
[[nodiscard]] std::shared_ptr<const Program> plan(std::shared_ptr<const Graph> graph,
                                                  const PlanSpec& spec, const TimeModel& time);

}  // namespace wholemount
