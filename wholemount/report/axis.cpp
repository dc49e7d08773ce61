#include "wholemount/report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace wholemount {

namespace {

/// The smallest of 1, 2, 5 x 10^k that is at least `least`.
double nice_step(double least) {
  const double decade = std::pow(10.0, std::floor(std::log10(least)));
  // A little tolerance, so that 0.2 computed as 0.2000000001 stays 0.2.
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * decade >= least * (1 - 1e-9)) return factor * decade;
  }
  return 10 * decade;
}

void add_ticks(Axis& axis, double step) {
  // Counting whole steps keeps rounding errors from piling up.
  const double first = std::ceil(axis.low / step - 1e-9);
  const double last = std::floor(axis.high / step + 1e-9);
  for (double i = first; i <= last; ++i) {
    const double value = i * step;
    axis.ticks.push_back({value, short_number(std::fabs(value) < step * 1e-6 ? 0.0 : value)});
  }
}

}  // namespace

double Axis::position(double value) const {
  if (logarithmic) {
    return (std::log(std::max(value, low)) - std::log(low)) / (std::log(high) - std::log(low));
  }
  return (value - low) / (high - low);
}

std::string short_number(double value) {
  const double size = std::fabs(value);
  if (size >= 10000 && size < 1e7 && std::fmod(value, 1000) == 0) {
    return fmt::format("{:.0f}k", value / 1000);
  }
  if (size >= 1e7 && size < 1e10 && std::fmod(value, 1e6) == 0) {
    return fmt::format("{:.0f}M", value / 1e6);
  }
  return fmt::format("{:.6g}", value);
}

Axis linear_axis(double low, double high, size_t max_ticks) {
  if (!(high > low)) {
    const double around = std::max(std::fabs(low) * 0.1, 1e-6);
    low -= around;
    high += around;
  }
  const double intervals = static_cast<double>(std::max<size_t>(max_ticks, 3)) - 1;
  double step = nice_step((high - low) / intervals);
  // Widening to whole steps may add up to two; then the next larger step is wanted.
  while (std::ceil(high / step - 1e-9) - std::floor(low / step + 1e-9) > intervals) {
    step = nice_step(step * 1.01);
  }
  Axis axis;
  axis.low = std::floor(low / step + 1e-9) * step;
  axis.high = std::ceil(high / step - 1e-9) * step;
  add_ticks(axis, step);
  return axis;
}

Axis count_axis(double low, double high, size_t max_ticks) {
  Axis axis;
  axis.low = low;
  axis.high = high > low ? high : low + 1;
  const double intervals = static_cast<double>(std::max<size_t>(max_ticks, 3)) - 1;
  add_ticks(axis, std::max(1.0, nice_step((axis.high - axis.low) / intervals)));
  return axis;
}

Axis logarithmic_axis(double low, double high) {
  Axis axis;
  axis.logarithmic = true;
  const double decades = std::log10(high / low);
  const bool dense = decades < 3;
  const double first = std::floor(std::log10(low) + 1e-9);
  const double last = std::ceil(std::log10(high) - 1e-9);
  const double every = std::max(1.0, std::ceil((last - first) / 8));
  std::vector<double> values;
  for (double power = first; power <= last; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const bool shown = factor == 1.0 ? std::fmod(power - first, every) == 0 : dense;
      if (shown) values.push_back(factor * std::pow(10.0, power));
    }
  }
  // From the last tick at or below `low` to the first at or above `high`.
  const double tolerance = 1 + 1e-9;
  size_t begin = 0;
  while (begin + 1 < values.size() && values[begin + 1] <= low * tolerance) ++begin;
  size_t end = begin + 1;
  while (end + 1 < values.size() && values[end] < high / tolerance) ++end;
  end = std::min(end, values.size() - 1);
  axis.low = std::min(values[begin], low);
  axis.high = std::max(values[end], high);
  for (size_t i = begin; i <= end; ++i) axis.ticks.push_back({values[i], short_number(values[i])});
  return axis;
}

Axis bytes_axis(double high, size_t max_ticks) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  const double intervals = static_cast<double>(std::max<size_t>(max_ticks, 3)) - 1;
  const double least = std::max(1.0, high / intervals);
  size_t unit = 0;
  double unit_bytes = 1;
  while (least / unit_bytes > 500 && unit + 1 < kUnits.size()) {
    unit_bytes *= 1024;
    ++unit;
  }
  const double step = std::max(1.0, nice_step(least / unit_bytes));
  Axis axis;
  const double steps = std::max(1.0, std::ceil(high / (step * unit_bytes) - 1e-9));
  axis.high = steps * step * unit_bytes;
  for (double i = 0; i <= steps; ++i) {
    axis.ticks.push_back({i * step * unit_bytes, fmt::format("{:.0f} {}", i * step, kUnits[unit])});
  }
  return axis;
}

}  // namespace wholemount
