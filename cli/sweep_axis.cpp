#include "cli/sweep_axis.h"

#include <cstdlib>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"

namespace wholemount::cli {

Axis parse_axis(const std::string& text) {
  Axis axis;
  const size_t equals = text.find('=');
  if (text == kBudgetKey) return {text, {}};
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError("--sweep " + text +
                      ": wanted key=value,value,... with a configuration key, or memory.budget");
  }
  axis.key = text.substr(0, equals);
  int depth = 0;
  std::string value;
  for (const char c : text.substr(equals + 1) + ",") {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c != ',' || depth > 0) {
      value += c;
      continue;
    }
    if (value.empty()) throw ConfigError("--sweep " + text + ": an empty value");
    axis.values.push_back(std::exchange(value, {}));
  }
  return axis;
}

double position_of(const Axis& axis, size_t index) {
  const std::string& text = axis.values[index];
  if (text.front() == '[') {
    double voxels = 1;
    const char* next = text.c_str() + 1;
    for (char* end = nullptr; *next != '\0'; next = *end == '\0' ? end : end + 1) {
      const double size = std::strtod(next, &end);
      if (end == next) break;
      voxels *= size;
    }
    return voxels / 1000;
  }
  if (axis.key == kBudgetKey) {
    return static_cast<double>(parse_bytes(text)) / static_cast<double>(1U << 20U);
  }
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return end != text.c_str() && *end == '\0' ? number : static_cast<double>(index + 1);
}

std::string x_label(const Axis& axis) {
  if (axis.values.front().front() == '[') return axis.key + " (thousands of voxels)";
  return axis.key == kBudgetKey ? axis.key + " (MiB)" : axis.key;
}

std::vector<std::vector<size_t>> combinations(const std::vector<Axis>& axes) {
  std::vector<std::vector<size_t>> result{{}};
  for (const Axis& axis : axes) {
    std::vector<std::vector<size_t>> longer;
    for (const std::vector<size_t>& prefix : result) {
      for (size_t i = 0; i < axis.values.size(); ++i) {
        longer.push_back(prefix);
        longer.back().push_back(i);
      }
    }
    result = std::move(longer);
  }
  return result;
}

}  // namespace wholemount::cli
