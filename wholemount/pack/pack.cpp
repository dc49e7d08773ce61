#include "wholemount/pack/pack.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "wholemount/base/checked.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

/// The local search goes on longer while the arena is more than 1/kCloseEnough above its bound.
constexpr int64_t kFewPerturbations = 400;
constexpr int64_t kManyPerturbations = 6000;
constexpr size_t kCloseEnough = 32;

size_t aligned(size_t bytes, size_t alignment) {
  return static_cast<size_t>(
      round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(alignment)));
}

/// Places intervals one by one, each in the tightest gap that fits among those placed before that
/// share a step with it.
Packing place_in_order(std::span<const Interval> intervals, std::span<const size_t> sizes,
                       std::span<const size_t> order, size_t give_up_bytes) {
  Packing packing;
  packing.offsets.assign(intervals.size(), 0);
  std::vector<size_t> placed;  // by offset
  placed.reserve(intervals.size());
  for (const size_t index : order) {
    if (sizes[index] == 0) {
      continue;
    }
    const Interval& interval = intervals[index];
    size_t best_offset = SIZE_MAX;
    size_t best_gap = SIZE_MAX;
    size_t cursor = 0;
    for (const size_t other : placed) {
      if (intervals[other].first > interval.last || intervals[other].last < interval.first) {
        continue;
      }
      const size_t other_begin = packing.offsets[other];
      if (other_begin > cursor) {
        const size_t gap = other_begin - cursor;
        if (gap >= sizes[index] && gap < best_gap) {
          best_gap = gap;
          best_offset = cursor;
        }
      }
      cursor = std::max(cursor, other_begin + sizes[other]);
    }
    packing.offsets[index] = best_offset == SIZE_MAX ? cursor : best_offset;
    packing.arena_bytes = std::max(packing.arena_bytes, packing.offsets[index] + sizes[index]);
    if (packing.arena_bytes >= give_up_bytes) {
      return packing;
    }
    const auto position = std::upper_bound(
        placed.begin(), placed.end(), packing.offsets[index],
        [&](size_t offset, size_t other) { return offset < packing.offsets[other]; });
    placed.insert(position, index);
  }
  return packing;
}

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
  using Key = std::function<std::pair<size_t, size_t>(size_t)>;
  const Key keys[] = {
      [&](size_t i) {
        return std::pair{sizes[i], length(i)};
      },
      [&](size_t i) {
        return std::pair{length(i), sizes[i]};
      },
      [&](size_t i) {
        return std::pair{sizes[i] / 64 * length(i), sizes[i]};
      },
      [&](size_t i) {
        return std::pair{size_t{at_peak(i)}, sizes[i]};
      },
      [&](size_t i) {
        return std::pair{size_t{at_peak(i)}, length(i)};
      },
  };

  Packing best;
  best.arena_bytes = SIZE_MAX;
  std::vector<size_t> best_order;
  const auto attempt = [&](const std::vector<size_t>& order) {
    Packing candidate = place_in_order(intervals, sizes, order, best.arena_bytes);
    if (candidate.arena_bytes < best.arena_bytes) {
      best = std::move(candidate);
      best_order = order;
    }
  };
  std::vector<size_t> order(intervals.size());
  for (const Key& key : keys) {
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return key(a) > key(b); });
    attempt(order);
    if (best.arena_bytes <= lower_bound) {
      break;
    }
  }
  // Local search: moving one interval to the front of the order often closes the last few per cent.
  // One attempt costs about n^2 comparisons; the search is bounded to a few hundred million.
  const auto count = static_cast<int64_t>(std::max<size_t>(intervals.size(), 1));
  const int64_t affordable = int64_t{200'000'000} / checked_multiply(count, count);
  CounterRng rng(0, 0, intervals.size(), "pack");
  for (int64_t i = 0; i < affordable && best.arena_bytes > lower_bound && best_order.size() > 1;
       ++i) {
    const bool close = best.arena_bytes <= lower_bound + lower_bound / kCloseEnough;
    if (i >= (close ? kFewPerturbations : kManyPerturbations)) {
      break;
    }
    order = best_order;
    const size_t from = rng.next_below(order.size());
    const size_t to = rng.next_below(from + 1);
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(to),
                order.begin() + static_cast<std::ptrdiff_t>(from),
                order.begin() + static_cast<std::ptrdiff_t>(from) + 1);
    attempt(order);
  }
  if (best.offsets.empty()) {
    best.offsets.assign(intervals.size(), 0);
    best.arena_bytes = 0;
  }
  best.lower_bound_bytes = lower_bound;
  return best;
}

}  // namespace wholemount
