#pragma once

#include <cstdint>

namespace wholemount {

/// Cache lines that lie side by side.
struct LineRange {
  const float* begin = nullptr;
  int64_t lines = 0;
};

/// Memory that a kernel will read soon, asked for bit by bit while it multiplies: it would
/// otherwise wait for all of it at once. `ranges` belong to the caller.
struct LinesAhead {
  const LineRange* ranges = nullptr;
  int64_t num_ranges = 0;
  int64_t per_step = 0;  ///< lines asked for at a time
  /// Ranges, of one length, take turns: a core reads faster from two places at once than from one.
  bool in_turns = false;
  int64_t range = 0;  ///< the next to ask for
  int64_t line = 0;

  /// The next lines, at most per_step; none when all were asked for.
  LineRange next() {
    if (range == num_ranges) return {};
    const int64_t left = ranges[range].lines - line;
    const LineRange some{ranges[range].begin + line * 16, left < per_step ? left : per_step};
    const bool was_last = range + 1 == num_ranges;
    if (!in_turns) {
      line = left <= per_step ? 0 : line + some.lines;
      range += left <= per_step ? 1 : 0;
    } else if (!was_last) {
      ++range;
    } else {
      line += per_step;
      range = left <= per_step ? num_ranges : 0;
    }
    return some;
  }
};

/// Deals the lines of a run to its tiles.
struct DealtLines {
  LineRange left;
  int64_t per_tile;
  LineRange next() {
    const LineRange some{left.begin, left.lines < per_tile ? left.lines : per_tile};
    left.begin += some.lines * 16;
    left.lines -= some.lines;
    return some;
  }
};

}  // namespace wholemount
