#pragma once

#include <cstddef>
#include <cstdint>

#include "wholemount/plan/estimate.h"

namespace wholemount {

/// What a search may do.
struct SearchSpec {
  size_t budget_bytes = SIZE_MAX;  ///< of the arena
  bool recompute = true;
  bool spill = false;
  /// Smaller values are always kept: moving them saves nothing. Statistics are among them.
  size_t smallest_bytes = 0;
  EstimateSpec estimate;
  /// Bound on the work: estimates made, times steps of the tape.
  int64_t max_work = 0;
};

/// Policies with what they lead to.
struct SearchResult {
  Policies policies;
  Schedule schedule;
  Estimate estimate;
  bool fits = false;
  int64_t estimates = 0;  ///< made on the way
};

/// Looks for the policies of least predicted time whose bytes live at every step are within the
/// budget.
///
/// Greedy: as long as some step needs too much, of all single changes that could help there (run a
/// node again, spill over a gap between two readings, stream an operand, shorten a transfer) the
/// one with the fewest seconds per byte-step of excess removed is made. Scores of the last round
/// order the candidates; only those that could be best are estimated anew. Then changes that the
/// later ones have made superfluous are taken back, or swapped for cheaper ones. Where a program
/// holds many samples, changes are made for all of them at once as far as that leads. The result is
/// a function of the arguments. `fits` is false when no change helps any more; the result is then
/// the best that was found.
[[nodiscard]] SearchResult search_policies(const Tape& tape, const SearchSpec& spec,
                                           StreamCuts& cuts);

/// Makes policies fit a budget a little below the one they were found for, and refines them. `fits`
/// is false when that leads nowhere.
[[nodiscard]] SearchResult continue_search(const Tape& tape, const SearchSpec& spec,
                                           StreamCuts& cuts, const Policies& policies);

/// The least memory the search can reach, whatever it costs: descents to a range of aims, and on
/// from the best in small steps. From there, changes are taken back as far as spec.budget_bytes
/// allows (0: not at all), so that a budget between is met even where search_policies fails.
[[nodiscard]] SearchResult search_floor(const Tape& tape, const SearchSpec& spec, StreamCuts& cuts);

}  // namespace wholemount
