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
  int64_t range = 0;     ///< the next to ask for
  int64_t line = 0;

  /// The next lines, at most per_step; none when all were asked for.
  LineRange next() {
    if (range == num_ranges) return {};
    const int64_t left = ranges[range].lines - line;
    const LineRange some{ranges[range].begin + line * 16, left < per_step ? left : per_step};
    line += some.lines;
    if (left <= per_step) {
      line = 0;
      ++range;
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
