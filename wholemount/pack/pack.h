#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wholemount {

/// Something that needs `bytes` of memory during the steps first..last (both inclusive).
struct Interval {
  size_t bytes = 0;
  int32_t first = 0;
  int32_t last = 0;
};

/// Where each interval lies in one arena.
struct Packing {
  std::vector<size_t> offsets;   ///< by interval, multiples of the alignment
  size_t arena_bytes = 0;        ///< end of the highest interval
  size_t lower_bound_bytes = 0;  ///< largest sum of (aligned) bytes live at one step
};

/// Assigns offsets so that intervals alive at a common step do not overlap.
///
///   {100 B, steps 0..1}, {50 B, steps 1..2}, {100 B, steps 2..3}
///     -> offsets 0, 128, 0 with alignment 64; the arena is 192 bytes, its lower bound too.
///
/// Tries placement into the tightest and into the lowest gap, in several orders (by size and, among
/// equal sizes, by time, which wastes nothing when all are equal; by lifetime, by area, by what is
/// alive at the fullest step or at full ones first), and keeps the smallest arena; stops early at
/// the lower bound. Then perturbs the best order a fixed number of times with a counter-based
/// generator, so the result is a function of the intervals alone. Zero-byte intervals get offset 0.
/// Throws ShapeError when sizes overflow.
[[nodiscard]] Packing pack(std::span<const Interval> intervals, size_t alignment = 64);

/// Bytes live at each step (index = step), aligned as in pack().
[[nodiscard]] std::vector<size_t> live_bytes(std::span<const Interval> intervals,
                                             size_t alignment = 64);

}  // namespace wholemount
