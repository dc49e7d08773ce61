#include "wholemount/plan/search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "wholemount/base/rng.h"
#include "wholemount/plan/candidates.h"
#include "wholemount/plan/siblings.h"

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

/// A descent to a lower aim that takes this much of the best time so far is given up.
constexpr double kHopeless = 1.25;

/// Exploration refines what comes this close to the best, and ends after so many vain attempts.
constexpr double kPromising = 1.15;
constexpr int kPatience = 300;
constexpr uint64_t kMostDropped = 4;

/// So many of the largest values are tried against others; what comes this close is refined.
constexpr size_t kExchanged = 8;
constexpr int64_t kExchangeEstimates = 400;
constexpr double kNearlyAsGood = 1.05;

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
      : tape_(tape), spec_(spec), cuts_(cuts), siblings_(tape) {
    const auto steps = static_cast<int64_t>(std::max<size_t>(tape.steps.size(), 1));
    most_estimates_ =
        spec.max_work == 0 ? INT64_MAX : std::max<int64_t>(spec.max_work / steps, kLeastEstimates);
    evaluate({}, state_);
  }

  /// Makes changes until every step is within the budget; false when none helps any more. What is
  /// good for one sample is good for its siblings; only where that leads nowhere samples part.
  bool descend(size_t budget_bytes) {
    for (together_ = siblings_.any();; together_ = false) {
      scores_.clear();
      double excess = excess_of(state_.estimate, budget_bytes);
      while (excess > 0 && make_best_change(budget_bytes, excess)) {
      }
      if (excess <= 0) return true;
      if (!together_) return false;
    }
  }

  /// Takes back or swaps changes as long as that saves time within the budget: those of all
  /// siblings together, then one by one.
  void refine(size_t budget_bytes, int rounds = kRefineRounds) {
    for (together_ = siblings_.any();; together_ = false) {
      for (int round = 0; round < rounds; ++round) {
        const double before = state_.estimate.seconds;
        refine_values(budget_bytes);
        refine_timing(budget_bytes);
        refine_uses(budget_bytes);
        if (state_.estimate.seconds >= before - kSecondsFloor || phase_over()) break;
      }
      if (!together_) return;
    }
  }

  /// Drops all that was decided about a few values (and their siblings), lets the greedy, with
  /// somewhat distorted scores, find room for them again, and stays there if that is faster.
  void explore(size_t budget_bytes) {
    CounterRng rng(0, 0, tape_.steps.size(), "search");
    Policies best = state_.policies;
    double best_seconds = state_.estimate.seconds;
    bool at_best = true;
    for (int fruitless = 0; fruitless < kPatience && !phase_over(); ++fruitless) {
      if (!at_best) evaluate(best, state_);
      at_best = false;
      distortion_ = rng.next_u64() | 1;
      if (!drop_some(rng) || !descend(budget_bytes) ||
          state_.estimate.seconds > best_seconds * kPromising) {
        continue;
      }
      refine(budget_bytes);
      if (state_.estimate.seconds >= best_seconds - kSecondsFloor) continue;
      best = state_.policies;
      best_seconds = state_.estimate.seconds;
      at_best = true;
      fruitless = -1;
    }
    distortion_ = 0;
    if (!at_best) evaluate(best, state_);
  }

  /// For each of the largest moved values: forgets what was decided about it, makes one change of
  /// another large value instead, and lets the greedy go on. Finds what no single change leads to:
  /// the greedy takes what removes the most at once, and with it may move the wrong one of two
  /// values of which one has to go.
  void exchange(size_t budget_bytes) {
    Policies best = state_.policies;
    double best_seconds = state_.estimate.seconds;
    distortion_ = 0;
    for (bool improved = true; improved && !phase_over();) {
      improved = false;
      for (const ValueId value : largest_moved(best)) {
        for (const Change& change : changes_without(best, value, budget_bytes)) {
          if (phase_over()) break;
          together_ = siblings_.any();
          Policies policies = without_value(best, value);
          apply_change(change, policies);
          const int64_t phase_end = phase_end_;
          phase_end_ = std::min(phase_end, estimates_ + kExchangeEstimates);
          const bool fits = evaluate(policies, state_) && descend(budget_bytes);
          phase_end_ = phase_end;
          if (!fits || state_.estimate.seconds > best_seconds * kNearlyAsGood) continue;
          refine(budget_bytes, 1);
          if (state_.estimate.seconds >= best_seconds - kSecondsFloor) continue;
          best = state_.policies;
          best_seconds = state_.estimate.seconds;
          improved = true;
        }
      }
    }
    evaluate(best, state_);
  }

  [[nodiscard]] const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }
  /// False when the policies cannot be carried out.
  bool begin_from(const Policies& policies) { return evaluate(policies, state_); }
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
  static constexpr int64_t kLeastEstimates = 4000;

  /// False when the policies cannot be carried out; `into` is then of no use.
  bool evaluate(const Policies& policies, State& into) {
    ++estimates_;
    into.policies = policies;
    make_schedule(tape_, into.policies, into.schedule);
    return estimate(tape_, into.policies, into.schedule, spec_.estimate, cuts_, into.estimate);
  }

  /// Byte-steps above the budget.
  static double excess_of(const Estimate& estimate, size_t budget_bytes) {
    double excess = 0;
    for (const size_t live : estimate.live) {
      if (live > budget_bytes) excess += static_cast<double>(live - budget_bytes);
    }
    return excess;
  }

  void apply_change(const Change& change, Policies& policies) const {
    if (!together_) {
      apply(change, tape_, policies);
      return;
    }
    for (const Change& one : siblings_.of(change)) apply(one, tape_, policies);
  }

  /// The changes to choose from, one for all siblings, those first that scored best when they were
  /// estimated last.
  std::vector<Change> ordered_changes(size_t budget_bytes) {
    std::vector<Change> changes = candidate_changes(tape_, spec_, budget_bytes, state_.policies,
                                                    state_.schedule, state_.estimate);
    if (together_) {
      for (Change& change : changes) change = siblings_.first(change);
      std::sort(changes.begin(), changes.end());
      changes.erase(std::unique(changes.begin(), changes.end()), changes.end());
    }
    std::stable_sort(changes.begin(), changes.end(), [&](const Change& a, const Change& b) {
      return known_score(a) < known_score(b);
    });
    return changes;
  }

  [[nodiscard]] double known_score(const Change& change) const {
    const auto found = scores_.find(change);
    return found == scores_.end() ? -1.0 : found->second;
  }

  /// False when no change helps.
  bool make_best_change(size_t budget_bytes, double& excess) {
    double best_score = kUseless;
    double best_excess = excess;
    Policies policies;
    for (const Change& change : ordered_changes(budget_bytes)) {
      if (best_score < kUseless && known_score(change) >= best_score) break;
      if (phase_over()) break;
      policies = state_.policies;
      apply_change(change, policies);
      double score = kUseless;
      double left = excess;
      if (evaluate(policies, trial_)) {
        left = excess_of(trial_.estimate, budget_bytes);
        const double seconds = trial_.estimate.seconds - state_.estimate.seconds;
        if (left < excess) {
          score = (std::max(seconds, 0.0) + kSecondsFloor) / (excess - left) * distorted(change);
        }
      }
      scores_[change] = score;
      if (score < best_score) {
        best_score = score;
        best_excess = left;
        std::swap(best_, trial_);
      }
    }
    if (best_score >= kUseless) return false;
    std::swap(state_, best_);
    excess = best_excess;
    return true;
  }

  /// A factor between 1/4 and 4 that is the change's own in this exploration.
  [[nodiscard]] double distorted(const Change& change) const {
    if (distortion_ == 0) return 1;
    uint64_t hash = distortion_;
    for (const auto part :
         {change.use.value, change.use.reader, change.use.anchor, static_cast<int32_t>(change.kind),
          static_cast<int32_t>(change.access), static_cast<int32_t>(change.brief)}) {
      hash = (hash ^ static_cast<uint64_t>(static_cast<uint32_t>(part))) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29U;
    }
    return std::exp2(static_cast<double>(hash >> 40U) / double{1U << 22U} - 2);
  }

  /// Forgets the decisions about one to four moved values; false when that cannot be carried out.
  bool drop_some(CounterRng& rng) {
    together_ = siblings_.any();
    const SortedSet<ValueId> moved = moved_values();
    if (moved.empty()) return false;
    Policies policies = state_.policies;
    // Sometimes a good part of all, to leave a valley for good.
    const uint64_t most = rng.next_below(4) == 0 ? moved.size() : kMostDropped;
    for (uint64_t left = 1 + rng.next_below(most); left > 0; --left) {
      policies = without_value(std::move(policies), pick_by_bytes(moved, rng));
    }
    return evaluate(policies, state_);
  }

  /// One of the values; large ones, on which the most time hangs, more often.
  ValueId pick_by_bytes(const SortedSet<ValueId>& values, CounterRng& rng) const {
    uint64_t total = 0;
    for (const ValueId value : values) total += tape_.bytes[static_cast<size_t>(value)];
    uint64_t left = rng.next_below(std::max<uint64_t>(total, 1));
    for (const ValueId value : values) {
      const uint64_t bytes = tape_.bytes[static_cast<size_t>(value)];
      if (left < bytes) return value;
      left -= bytes;
    }
    return *values.begin();
  }

  /// Adopts the policies if they fit and take less time.
  bool try_policies(const Policies& policies, size_t budget_bytes) {
    if (phase_over()) return false;
    if (!evaluate(policies, trial_) || trial_.estimate.peak_bytes > budget_bytes) return false;
    const bool faster = trial_.estimate.seconds < state_.estimate.seconds - kSecondsFloor;
    const bool simpler = trial_.estimate.seconds <= state_.estimate.seconds &&
                         trial_.policies.uses.size() < state_.policies.uses.size();
    if (!faster && !simpler) return false;
    std::swap(state_, trial_);
    return true;
  }

  /// Drops all that was decided about a value, and its siblings when changes are made together.
  [[nodiscard]] Policies without_value(Policies policies, ValueId value) const {
    for (const ValueId one : family(value)) {
      policies.uses.erase_if([&](const auto& entry) { return entry.first.value == one; });
      policies.late_reads.erase_if([&](const Use& use) { return use.value == one; });
      policies.streamed_out.erase(one);
      policies.hurried_writes.erase(one);
    }
    return policies;
  }

  /// Values of which something was decided, one of each family, largest first.
  std::vector<ValueId> largest_moved(const Policies& policies) {
    together_ = siblings_.any();
    SortedSet<ValueId> moved;
    for (const auto& [use, access] : policies.uses) moved.insert(family(use.value).front());
    std::vector<ValueId> values(moved.begin(), moved.end());
    std::stable_sort(values.begin(), values.end(), [&](ValueId a, ValueId b) {
      return tape_.bytes[static_cast<size_t>(a)] > tape_.bytes[static_cast<size_t>(b)];
    });
    if (values.size() > kExchanged) values.resize(kExchanged);
    return values;
  }

  /// Changes of other large values to begin with when nothing is decided about this one.
  std::vector<Change> changes_without(const Policies& policies, ValueId value,
                                      size_t budget_bytes) {
    together_ = siblings_.any();
    if (!evaluate(without_value(policies, value), state_)) return {};
    scores_.clear();
    std::vector<Change> changes = ordered_changes(budget_bytes);
    const size_t least = tape_.bytes[static_cast<size_t>(value)] / 4;
    std::erase_if(changes, [&](const Change& change) {
      return change.kind != Change::Kind::access || change.use.value == value ||
             tape_.bytes[static_cast<size_t>(change.use.value)] < least;
    });
    return changes;
  }

  [[nodiscard]] std::vector<ValueId> family(ValueId value) const {
    if (!together_) return {value};
    return siblings_.of(value);
  }
  [[nodiscard]] std::vector<Use> family(const Use& use) const {
    if (!together_) return {use};
    return siblings_.of(use);
  }

  /// One of each family.
  [[nodiscard]] SortedSet<ValueId> moved_values() const {
    SortedSet<ValueId> values;
    for (const ValueId value : state_.policies.streamed_out) values.insert(family(value).front());
    for (const auto& [use, access] : state_.policies.uses) {
      values.insert(family(use.value).front());
    }
    return values;
  }

  void refine_values(size_t budget_bytes) {
    for (const ValueId value : moved_values()) {
      try_policies(without_value(state_.policies, value), budget_bytes);
    }
  }

  void refine_timing(size_t budget_bytes) {
    const Policies start = state_.policies;
    const auto without = [&](auto Policies::*set, const auto& item) {
      const auto items = family(item);
      if (items.front() != item) return;
      Policies policies = state_.policies;
      for (const auto& one : items) (policies.*set).erase(one);
      try_policies(policies, budget_bytes);
    };
    for (const ValueId value : start.hurried_writes) without(&Policies::hurried_writes, value);
    for (const Use& use : start.late_reads) without(&Policies::late_reads, use);
    for (const ValueId value : start.streamed_out) without(&Policies::streamed_out, value);
  }

  void refine_uses(size_t budget_bytes) {
    const SortedMap<Use, Access> uses = state_.policies.uses;
    for (const auto& [use, access] : uses) {
      if (phase_over()) return;
      const std::vector<Use> all = family(use);
      if (all.front() != use) continue;
      Policies changed = state_.policies;
      for (const Use& one : all) changed.uses.erase(one);
      if (try_policies(changed, budget_bytes)) continue;
      for (const Access other : {Access::reload, Access::recompute, Access::stream, Access::half}) {
        if (other == access || !allows(tape_, spec_, use, other)) continue;
        changed = state_.policies;
        for (const Use& one : all) changed.uses[one] = other;
        if (try_policies(changed, budget_bytes)) break;
      }
    }
  }

  static constexpr double kUseless = 1e300;

  const Tape& tape_;
  const SearchSpec& spec_;
  StreamCuts& cuts_;
  Siblings siblings_;
  State state_;
  // Used again and again, so that their vectors keep their memory.
  State trial_;
  State best_;
  std::map<Change, double> scores_;  ///< of the last time each was estimated
  uint64_t distortion_ = 0;          ///< of the scores; 0: none
  bool together_ = false;            ///< changes are made for all siblings at once
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
    search.begin_phase(best.has_value() ? 8 : 2);
    search.descend(aim);
    const double seconds = search.state().estimate.seconds;
    if (search.state().estimate.peak_bytes <= spec.budget_bytes) {
      // Refining seldom makes up for a way that is so much longer, and lower aims are longer still.
      if (best.has_value() && seconds > best->estimate.seconds * kHopeless) break;
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
    search.begin_phase(4);
    search.explore(spec.budget_bytes);
  }
  return search.result(true);
}

SearchResult continue_search(const Tape& tape, const SearchSpec& spec, StreamCuts& cuts,
                             const Policies& policies) {
  Search search(tape, spec, cuts);
  search.begin_phase(4);
  if (!search.begin_from(policies) || !search.descend(spec.budget_bytes)) {
    return search.result(false);
  }
  search.begin_phase(4);
  search.refine(spec.budget_bytes);
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
