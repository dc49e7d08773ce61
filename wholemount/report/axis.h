#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace wholemount {

struct AxisTick {
  double value = 0;
  std::string label;
};

/// One axis of a chart: what it spans and where it is labelled.
struct Axis {
  double low = 0;
  double high = 1;
  bool logarithmic = false;
  std::vector<AxisTick> ticks;  ///< rising, inside [low, high], at least two
  /// Where a value lies between low (0) and high (1).
  [[nodiscard]] double position(double value) const;
};

/// Ticks at multiples of 1, 2 or 5 times a power of ten, at most `max_ticks` (at least 3) of them;
/// the axis is widened to full ticks. [0.13, 0.97] with 6 gives 0, 0.2, ..., 1.
/// low == high is widened around the value.
[[nodiscard]] Axis linear_axis(double low, double high, size_t max_ticks);

/// Counts from `low` to `high`: ticks at whole numbers only; the ends are kept as they are.
[[nodiscard]] Axis count_axis(double low, double high, size_t max_ticks);

/// For positive values that span decades: ticks at powers of ten, with 2 and 5 between where there
/// are fewer than three decades. 0 < low < high.
[[nodiscard]] Axis logarithmic_axis(double low, double high);

/// Bytes from 0 to above `high`: ticks at 1, 2, 5, 10 ... 500 KiB, MiB, GiB, labelled so.
[[nodiscard]] Axis bytes_axis(double high, size_t max_ticks);

/// A number in few characters, without trailing zeros: "0.05", "2e-05", "1500", "20k".
[[nodiscard]] std::string short_number(double value);

}  // namespace wholemount
