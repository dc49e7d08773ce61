#include "wholemount/plan/search.h"

#include <algorithm>
#include <map>
#include <utility>

#include "wholemount/plan/candidates.h"

namespace wholemount {

namespace {

/// Costs below this are noise of the time model; it also makes larger savings win among free ones.
constexpr double kSecondsFloor = 1e-6;

/// Searches with lower aims take other ways and may end better, or come to the budget at all where
/// the straight way is blocked. Aims fall by 1/kAimStep each.
constexpr int kAims = 8;
constexpr size_t kAimStep = 10;

/// A plan that takes this much of the time without a budget is not searched further.
constexpr double kFreeEnough = 1.002;

/// The floor search aims down to 1/kLowestAim of what keeping all takes; from the best result on,
/// by 1/kFinalSteps.
constexpr size_t kLowestAim = 32;
constexpr size_t kFloorAimStep = 2;
constexpr size_t kFinalSteps[] = {32, 128};

/// Policies with their schedule and estimate.
struct State {
  Policies policies;
  Schedule schedule;
  Estimate estimate;
};

class Search {
 public:
  Search(const Tape& tape, const SearchSpec& spec, StreamCuts& cuts)
      : tape_(tape), spec_(spec), cuts_(cuts) {
    const auto steps = static_cast<int64_t>(std::max<size_t>(tape.steps.size(), 1));
    most_estimates_ =
        spec.max_work == 0 ? INT64_MAX : std::max<int64_t>(spec.max_work / steps, kLeastEstimates);
    state_ = *evaluate({});
  }

  /// Makes changes until every step is within the budget; false when none helps any more.
  bool descend(size_t budget_bytes) {
    scores_.clear();
    double excess = excess_of(state_.estimate, budget_bytes);
    while (excess > 0) {
      std::optional<std::pair<State, double>> best = best_change(budget_bytes, excess);
      if (!best.has_value()) return false;
      const double score = best_score_;
      const double before = excess;
      state_ = std::move(best->first);
      excess = best->second;
      if (tape_.steps.size() > kManySteps && excess > 0) {
        excess = make_alike_changes(budget_bytes, score, before - excess, excess);
      }
    }
    return true;
  }

  /// Takes back or swaps changes as long as that saves time within the budget.
  void refine(size_t budget_bytes) {
    for (int round = 0; round < kRefineRounds; ++round) {
      const double before = state_.estimate.seconds;
      refine_values(budget_bytes);
      refine_timing(budget_bytes);
      refine_uses(budget_bytes);
      if (state_.estimate.seconds >= before - kSecondsFloor || phase_over()) break;
    }
  }

  /// Keeps a moved value after all, lets the greedy find room for it elsewhere, and stays there if
  /// that is faster; value after value.
  void exchange(size_t budget_bytes) {
    for (const ValueId value : moved_values()) {
      if (phase_over()) return;
      State before = state_;
      std::optional<State> without = evaluate(without_value(state_.policies, value));
      if (!without.has_value()) continue;
      state_ = std::move(*without);
      if (descend(budget_bytes)) {
        refine(budget_bytes);
        if (state_.estimate.seconds < before.estimate.seconds - kSecondsFloor) continue;
      }
      state_ = std::move(before);
    }
  }

  [[nodiscard]] const State& state() const { return state_; }
  void set_state(State state) { state_ = std::move(state); }
  /// The next descent or refinement may make this part of all estimates allowed.
  void begin_phase(int64_t part) {
    phase_end_ = most_estimates_ == INT64_MAX ? INT64_MAX : estimates_ + most_estimates_ / part;
  }
  [[nodiscard]] bool phase_over() const { return estimates_ >= phase_end_; }
  [[nodiscard]] bool exhausted() const { return estimates_ >= most_estimates_; }

  [[nodiscard]] SearchResult result(bool fits) const {
    return {state_.policies, state_.schedule, state_.estimate, fits, estimates_};
  }

 private:
  static constexpr int kRefineRounds = 3;
  static constexpr int64_t kLeastEstimates = 16000;
  static constexpr size_t kManySteps = 300;
  static constexpr double kAlike = 1.5;
  static constexpr size_t kMostAlike = 24;

  std::optional<State> evaluate(Policies policies) {
    ++estimates_;
    State state;
    state.policies = std::move(policies);
    state.schedule = make_schedule(tape_, state.policies);
    std::optional<Estimate> result =
        estimate(tape_, state.policies, state.schedule, spec_.estimate, cuts_);
    if (!result.has_value()) return std::nullopt;
    state.estimate = std::move(*result);
    return state;
  }

  /// Byte-steps above the budget.
  static double excess_of(const Estimate& estimate, size_t budget_bytes) {
    double excess = 0;
    for (const size_t live : estimate.live) {
      if (live > budget_bytes) excess += static_cast<double>(live - budget_bytes);
    }
    return excess;
  }

  std::optional<std::pair<State, double>> best_change(size_t budget_bytes, double excess) {
    std::vector<Change> changes = candidate_changes(tape_, spec_, budget_bytes, state_.policies,
                                                    state_.schedule, state_.estimate);
    const auto known_score = [&](const Change& change) {
      const auto found = scores_.find(change);
      return found == scores_.end() ? -1.0 : found->second;
    };
    std::stable_sort(changes.begin(), changes.end(), [&](const Change& a, const Change& b) {
      return known_score(a) < known_score(b);
    });
    std::optional<std::pair<State, double>> best;
    double best_score = kUseless;
    for (const Change& change : changes) {
      if (best.has_value() && known_score(change) >= best_score) break;
      if (phase_over()) break;
      Policies policies = state_.policies;
      apply(change, tape_, policies);
      std::optional<State> next = evaluate(std::move(policies));
      double score = kUseless;
      double next_excess = excess;
      if (next.has_value()) {
        next_excess = excess_of(next->estimate, budget_bytes);
        const double seconds = next->estimate.seconds - state_.estimate.seconds;
        if (next_excess < excess) {
          score = (std::max(seconds, 0.0) + kSecondsFloor) / (excess - next_excess);
        }
      }
      scores_[change] = score;
      if (score < best_score) {
        best_score = score;
        best_score_ = score;
        best.emplace(std::move(*next), next_excess);
      }
    }
    return best;
  }

  /// Where a program holds many samples, what is good for one is good for the others: the changes
  /// that scored about as well are made together, if they do together what they promised.
  double make_alike_changes(size_t budget_bytes, double score, double gained, double excess) {
    std::vector<std::pair<double, Change>> alike;
    for (const auto& [change, known] : scores_) {
      if (known <= score * kAlike) alike.emplace_back(known, change);
    }
    std::sort(alike.begin(), alike.end());
    if (alike.size() > kMostAlike) alike.resize(kMostAlike);
    Policies policies = state_.policies;
    for (const auto& [known, change] : alike) apply(change, tape_, policies);
    std::optional<State> next = evaluate(std::move(policies));
    if (!next.has_value()) return excess;
    const double left = excess_of(next->estimate, budget_bytes);
    const double seconds = std::max(next->estimate.seconds - state_.estimate.seconds, 0.0);
    if (excess - left < gained || (seconds + kSecondsFloor) / (excess - left) > 2 * score) {
      return excess;
    }
    state_ = std::move(*next);
    for (const auto& [known, change] : alike) scores_.erase(change);
    return left;
  }

  /// Adopts the policies if they fit and take less time.
  bool try_policies(Policies policies, size_t budget_bytes) {
    if (phase_over()) return false;
    std::optional<State> next = evaluate(std::move(policies));
    if (!next.has_value() || next->estimate.peak_bytes > budget_bytes) return false;
    const bool faster = next->estimate.seconds < state_.estimate.seconds - kSecondsFloor;
    const bool simpler = next->estimate.seconds <= state_.estimate.seconds &&
                         next->policies.uses.size() < state_.policies.uses.size();
    if (!faster && !simpler) return false;
    state_ = std::move(*next);
    return true;
  }

  /// Drops all that was decided about a value at once.
  static Policies without_value(Policies policies, ValueId value) {
    std::erase_if(policies.uses, [&](const auto& entry) { return entry.first.value == value; });
    std::erase_if(policies.late_reads, [&](const Use& use) { return use.value == value; });
    policies.streamed_out.erase(value);
    policies.hurried_writes.erase(value);
    return policies;
  }

  [[nodiscard]] std::set<ValueId> moved_values() const {
    std::set<ValueId> values = state_.policies.streamed_out;
    for (const auto& [use, access] : state_.policies.uses) values.insert(use.value);
    return values;
  }

  void refine_values(size_t budget_bytes) {
    for (const ValueId value : moved_values()) {
      try_policies(without_value(state_.policies, value), budget_bytes);
    }
  }

  void refine_timing(size_t budget_bytes) {
    const std::set<ValueId> hurried = state_.policies.hurried_writes;
    for (const ValueId value : hurried) {
      Policies policies = state_.policies;
      policies.hurried_writes.erase(value);
      try_policies(std::move(policies), budget_bytes);
    }
    const std::set<Use> late = state_.policies.late_reads;
    for (const Use& use : late) {
      Policies policies = state_.policies;
      policies.late_reads.erase(use);
      try_policies(std::move(policies), budget_bytes);
    }
    const std::set<ValueId> streamed = state_.policies.streamed_out;
    for (const ValueId value : streamed) {
      Policies policies = state_.policies;
      policies.streamed_out.erase(value);
      try_policies(std::move(policies), budget_bytes);
    }
  }

  void refine_uses(size_t budget_bytes) {
    const std::map<Use, Access> uses = state_.policies.uses;
    for (const auto& [use, access] : uses) {
      Policies without = state_.policies;
      without.uses.erase(use);
      if (try_policies(std::move(without), budget_bytes)) continue;
      for (const Access other : {Access::reload, Access::recompute}) {
        const int32_t producer = tape_.producer[static_cast<size_t>(use.value)];
        const bool allowed =
            other == Access::reload
                ? spec_.spill
                : spec_.recompute && tape_.steps[static_cast<size_t>(producer)].repeatable;
        if (other == access || !allowed) continue;
        Policies swapped = state_.policies;
        swapped.uses[use] = other;
        if (try_policies(std::move(swapped), budget_bytes)) break;
      }
    }
  }

  static constexpr double kUseless = 1e300;

  const Tape& tape_;
  const SearchSpec& spec_;
  StreamCuts& cuts_;
  State state_;
  std::map<Change, double> scores_;  ///< of the last time each was estimated
  double best_score_ = 0;            ///< of the change made last
  int64_t estimates_ = 0;
  int64_t most_estimates_ = 0;
  int64_t phase_end_ = INT64_MAX;
};

}  // namespace

SearchResult search_policies(const Tape& tape, const SearchSpec& spec, StreamCuts& cuts) {
  Search search(tape, spec, cuts);
  const State start = search.state();
  std::optional<State> best;
  size_t aim = spec.budget_bytes;
  for (int attempt = 0; attempt < kAims && !search.exhausted(); ++attempt) {
    search.set_state(start);
    search.begin_phase(4);
    search.descend(aim);
    if (search.state().estimate.peak_bytes <= spec.budget_bytes) {
      search.begin_phase(4);
      if (!search.state().policies.empty()) search.refine(spec.budget_bytes);
      if (!best.has_value() || search.state().estimate.seconds < best->estimate.seconds) {
        best = search.state();
      }
      // Nothing to gain where the budget costs nothing.
      if (best->estimate.seconds <= start.estimate.seconds * kFreeEnough) break;
    }
    aim -= aim / kAimStep;
  }
  if (!best.has_value()) return search.result(false);
  search.set_state(*best);
  if (best->estimate.seconds > start.estimate.seconds * kFreeEnough) {
    search.begin_phase(2);
    search.exchange(spec.budget_bytes);
  }
  return search.result(true);
}

SearchResult search_floor(const Tape& tape, const SearchSpec& spec, StreamCuts& cuts) {
  Search search(tape, spec, cuts);
  const State start = search.state();
  State best = start;
  const auto keep_smaller = [&] {
    if (search.state().estimate.peak_bytes < best.estimate.peak_bytes) best = search.state();
  };
  // A lower aim opens other ways, and a search that fails may still come low: try a range of aims.
  for (size_t aim = start.estimate.peak_bytes / kLowestAim;
       aim < start.estimate.peak_bytes && !search.exhausted(); aim += aim / kFloorAimStep) {
    search.set_state(start);
    search.begin_phase(4);
    search.descend(aim);
    keep_smaller();
  }
  for (size_t step : kFinalSteps) {
    for (;;) {
      search.set_state(best);
      search.begin_phase(8);
      const size_t peak = best.estimate.peak_bytes;
      const bool reached = search.descend(peak - std::min(peak, peak / step + 1));
      keep_smaller();
      if (!reached || search.phase_over()) break;
    }
  }
  search.set_state(best);
  search.begin_phase(1);
  search.refine(std::max(best.estimate.peak_bytes, spec.budget_bytes));
  return search.result(true);
}

}  // namespace wholemount
