#include "wholemount/pack/pack.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

#include "wholemount/base/checked.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

/// Intervals below this part of the lower bound are placed last, into the gaps: the search for an
/// order is about the others.
constexpr size_t kSmallPart = 2048;

/// The search goes on longer while the arena is more than 1/kCloseEnough above its bound.
constexpr int64_t kFewAttempts = 400;
constexpr int64_t kManyAttempts = 6000;
constexpr size_t kCloseEnough = 32;
/// An attempt costs about n^2 comparisons of n intervals; all of them together are bounded.
constexpr int64_t kMostComparisons = 200'000'000;
/// A walk that has not found anything smaller for so long begins again at the best order.
constexpr int64_t kPatience = 50;

size_t aligned(size_t bytes, size_t alignment) {
  return static_cast<size_t>(
      round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(alignment)));
}

/// Which of the gaps that are large enough is taken. The lowest packs programs of many samples
/// better (their equal tensors then stack alike), the tightest often those of one.
enum class Fit : uint8_t { tightest, lowest };

/// One placement of intervals into an arena that is to stay below a limit.
class Placement {
 public:
  Placement(std::span<const Interval> intervals, std::span<const size_t> sizes)
      : intervals_(intervals), sizes_(sizes), offsets_(intervals.size(), 0) {}

  /// Places intervals one by one, each in a gap that fits among those placed before that share a
  /// step with it. False as soon as one ends at or above the limit; `offender` is that one.
  bool run(std::span<const size_t> order, Fit fit, size_t limit_bytes) {
    fit_ = fit;
    placed_.clear();
    arena_bytes_ = 0;
    return add(order, limit_bytes);
  }
  /// Goes on with further intervals.
  bool add(std::span<const size_t> order, size_t limit_bytes) {
    for (const size_t index : order) {
      if (!place(index, limit_bytes)) {
        offender_ = index;
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] const std::vector<size_t>& offsets() const { return offsets_; }
  [[nodiscard]] size_t arena_bytes() const { return arena_bytes_; }
  [[nodiscard]] size_t offender() const { return offender_; }

 private:
  bool place(size_t index, size_t limit_bytes) {
    const Interval& interval = intervals_[index];
    const size_t size = sizes_[index];
    if (size == 0) return true;
    size_t best_offset = SIZE_MAX;
    size_t best_gap = SIZE_MAX;
    size_t cursor = 0;
    for (const size_t other : placed_) {
      if (intervals_[other].first > interval.last || intervals_[other].last < interval.first) {
        continue;
      }
      const size_t other_begin = offsets_[other];
      if (other_begin > cursor) {
        const size_t gap = other_begin - cursor;
        if (gap >= size && gap < best_gap) {
          best_gap = gap;
          best_offset = cursor;
          if (fit_ == Fit::lowest) break;
        }
      }
      cursor = std::max(cursor, other_begin + sizes_[other]);
    }
    const size_t offset = best_offset == SIZE_MAX ? cursor : best_offset;
    if (offset + size >= limit_bytes) return false;
    offsets_[index] = offset;
    arena_bytes_ = std::max(arena_bytes_, offset + size);
    const auto position =
        std::upper_bound(placed_.begin(), placed_.end(), offset,
                         [&](size_t at, size_t other) { return at < offsets_[other]; });
    placed_.insert(position, index);
    return true;
  }

  std::span<const Interval> intervals_;
  std::span<const size_t> sizes_;
  std::vector<size_t> offsets_;
  std::vector<size_t> placed_;  ///< by offset
  Fit fit_ = Fit::tightest;
  size_t arena_bytes_ = 0;
  size_t offender_ = 0;
};

}  // namespace

std::vector<size_t> live_bytes(std::span<const Interval> intervals, size_t alignment) {
  int32_t num_steps = 0;
  for (const Interval& interval : intervals) {
    num_steps = std::max(num_steps, interval.last + 1);
  }
  std::vector<size_t> rise(static_cast<size_t>(num_steps) + 1, 0);
  std::vector<size_t> fall(static_cast<size_t>(num_steps) + 1, 0);
  for (const Interval& interval : intervals) {
    const size_t bytes = aligned(interval.bytes, alignment);
    rise[static_cast<size_t>(interval.first)] += bytes;
    fall[static_cast<size_t>(interval.last) + 1] += bytes;
  }
  std::vector<size_t> live(static_cast<size_t>(num_steps), 0);
  size_t now = 0;
  for (size_t step = 0; step < live.size(); ++step) {
    now += rise[step];
    now -= fall[step];
    live[step] = now;
  }
  return live;
}

Packing pack(std::span<const Interval> intervals, size_t alignment) {
  std::vector<size_t> sizes(intervals.size());
  int64_t total = 0;
  for (size_t i = 0; i < intervals.size(); ++i) {
    sizes[i] = aligned(intervals[i].bytes, alignment);
    total = checked_add(total, static_cast<int64_t>(sizes[i]));
  }
  const std::vector<size_t> live = live_bytes(intervals, alignment);
  const auto fullest = std::max_element(live.begin(), live.end());
  const size_t lower_bound = live.empty() ? 0 : *fullest;
  const auto fullest_step = static_cast<int32_t>(fullest - live.begin());

  const auto length = [&](size_t i) {
    return static_cast<size_t>(intervals[i].last - intervals[i].first + 1);
  };
  const auto at_peak = [&](size_t i) {
    return intervals[i].first <= fullest_step && intervals[i].last >= fullest_step;
  };
  // The bytes live at the fullest step of an interval.
  const auto most_live = [&](size_t i) {
    return *std::max_element(live.begin() + intervals[i].first,
                             live.begin() + intervals[i].last + 1);
  };
  const auto early = [&](size_t i) { return static_cast<size_t>(INT32_MAX - intervals[i].first); };
  using Rank = std::array<size_t, 3>;
  using Key = std::function<Rank(size_t)>;
  const Key keys[] = {
      // Among equal sizes in the order of their first steps a fit is a colouring of intervals,
      // which wastes nothing; backwards in time likewise.
      [&](size_t i) {
        return Rank{sizes[i], early(i)};
      },
      [&](size_t i) {
        return Rank{sizes[i], static_cast<size_t>(intervals[i].last)};
      },
      [&](size_t i) {
        return Rank{sizes[i], length(i)};
      },
      [&](size_t i) {
        return Rank{length(i), sizes[i]};
      },
      [&](size_t i) {
        return Rank{sizes[i] / 64 * length(i), sizes[i]};
      },
      [&](size_t i) {
        return Rank{size_t{at_peak(i)}, sizes[i], early(i)};
      },
      [&](size_t i) {
        return Rank{size_t{at_peak(i)}, length(i)};
      },
      [&](size_t i) {
        return Rank{most_live(i) / (lower_bound / 8 + 1), sizes[i], early(i)};
      },
  };

  std::vector<size_t> large;
  std::vector<size_t> small;
  for (size_t i = 0; i < intervals.size(); ++i) {
    if (sizes[i] > 0) (sizes[i] > lower_bound / kSmallPart ? large : small).push_back(i);
  }
  std::stable_sort(small.begin(), small.end(), [&](size_t a, size_t b) {
    return std::pair(sizes[a], length(a)) > std::pair(sizes[b], length(b));
  });

  Packing best;
  best.arena_bytes = SIZE_MAX;
  std::vector<size_t> best_order;
  Placement placement(intervals, sizes);
  Fit best_fit = Fit::tightest;
  const auto attempt = [&](const std::vector<size_t>& order, Fit fit) {
    if (!placement.run(order, fit, best.arena_bytes) || !placement.add(small, best.arena_bytes)) {
      return false;
    }
    best_fit = fit;
    best.offsets = placement.offsets();
    best.arena_bytes = placement.arena_bytes();
    best_order = order;
    return true;
  };
  std::vector<size_t> order;
  std::vector<Rank> ranks(intervals.size());
  for (const Key& key : keys) {
    if (best.arena_bytes <= lower_bound) break;
    for (const size_t i : large) ranks[i] = key(i);
    order = large;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return ranks[a] > ranks[b]; });
    for (const Fit fit : {Fit::tightest, Fit::lowest}) attempt(order, fit);
  }
  // What did not fit below the best arena so far is placed earlier the next time, whether or not
  // that helps at once: a walk that keeps running into its difficult intervals soon has them first.
  const auto count = static_cast<int64_t>(std::max<size_t>(large.size(), 1));
  const int64_t affordable = kMostComparisons / checked_multiply(count, count);
  CounterRng rng(0, 0, intervals.size(), "pack");
  int64_t fruitless = 0;
  order = best_order;
  for (int64_t i = 0; i < affordable && best.arena_bytes > lower_bound && order.size() > 1; ++i) {
    const bool close = best.arena_bytes <= lower_bound + lower_bound / kCloseEnough;
    if (i >= (close ? kFewAttempts : kManyAttempts)) {
      break;
    }
    auto from = std::find(order.begin(), order.end(), placement.offender());
    if (from == order.end() || rng.next_below(4) == 0) {
      from = order.begin() + static_cast<std::ptrdiff_t>(rng.next_below(order.size()));
    }
    const size_t to = rng.next_below(static_cast<size_t>(from - order.begin()) + 1);
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(to), from, from + 1);
    if (attempt(order, best_fit)) {
      fruitless = 0;
    } else if (++fruitless >= kPatience) {
      order = best_order;
      fruitless = 0;
    }
  }
  if (best.offsets.empty()) {
    best.offsets.assign(intervals.size(), 0);
    best.arena_bytes = 0;
  }
  best.lower_bound_bytes = lower_bound;
  return best;
}

}  // namespace wholemount
