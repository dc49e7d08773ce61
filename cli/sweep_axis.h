#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace wholemount::cli {

inline constexpr const char* kBudgetKey = "memory.budget";

/// A configuration key and the values a sweep gives it.
struct Axis {
  std::string key;
  std::vector<std::string> values;
};

/// From "key=value,value,..."; commas inside brackets belong to a value:
/// data.shape=[48,48,48],[96,96,96]. "memory.budget" alone is an axis without values, which the
/// sweep chooses. Throws ConfigError otherwise, naming the text and what was wanted.
[[nodiscard]] Axis parse_axis(const std::string& text);

/// Where a value stands on the x axis: budgets in MiB, shapes in thousands of voxels, numbers by
/// value, anything else by position.
[[nodiscard]] double position_of(const Axis& axis, size_t index);

/// The key and the unit of position_of().
[[nodiscard]] std::string x_label(const Axis& axis);

/// Every choice of one value of each axis, as indices; the last axis varies fastest.
[[nodiscard]] std::vector<std::vector<size_t>> combinations(const std::vector<Axis>& axes);

}  // namespace wholemount::cli
