#include "wholemount/report/memory_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "wholemount/base/memory.h"
#include "wholemount/report/axis.h"
#include "wholemount/report/chart_frame.h"
#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 104;
constexpr double kLeft = 26;
constexpr double kRight = 36;
constexpr double kBarTop = 24;
constexpr double kBarHeight = 38;

struct Item {
  std::string name;
  std::string css_class;
  size_t bytes = 0;
};

}  // namespace

std::string render_memory_bar(const RecordedPlan& plan, size_t measured_peak_bytes) {
  const std::vector<Item> items = {
      {"activations, gradients, scratch", "k0", plan.arena_bytes},
      {"parameters", "b0", plan.parameter_bytes},
      {"gradient sums", "b1", plan.gradient_bytes},
      {"optimiser state", "b2", plan.optimiser_bytes},
      {"data staging", "b3", plan.data_bytes},
      {"program, libraries, stacks", "b4", plan.other_bytes()},
  };
  const auto most = static_cast<double>(std::max(plan.peak_bytes, measured_peak_bytes));
  const Axis axis = bytes_axis(most, 9);
  const auto x = [&](double bytes) {
    return kLeft + axis.position(bytes) * (kWidth - kLeft - kRight);
  };
  std::string drawn;
  std::string legend;
  double sum = 0;
  for (const Item& item : items) {
    const double begin = sum;
    sum += static_cast<double>(item.bytes);
    drawn += svg_rectangle(x(begin), kBarTop, x(sum) - x(begin), kBarHeight, item.css_class);
    legend += element("li", text_element("span", {{"class", "box " + item.css_class}}, "") +
                                escape_markup(item.name + " " + format_bytes(item.bytes)));
  }
  const double bottom = kBarTop + kBarHeight;
  for (const AxisTick& tick : axis.ticks) {
    drawn += svg_line(x(tick.value), bottom + 4, x(tick.value), bottom + 9, "axis");
    drawn += svg_text(x(tick.value), bottom + 24, "middle", tick.label);
  }
  std::string summary = "Predicted peak memory " + format_bytes(plan.peak_bytes);
  if (measured_peak_bytes > 0) {
    const double at = x(static_cast<double>(measured_peak_bytes));
    drawn += svg_line(at, kBarTop - 6, at, bottom + 6, "measured");
    drawn += svg_text(at, kBarTop - 10, at > kWidth / 2 ? "end" : "start",
                      "measured " + format_bytes(measured_peak_bytes), "note");
    legend += element("li", text_element("span", {{"class", "key measured"}}, "") +
                                escape_markup("measured peak"));
    summary += ", measured " + format_bytes(measured_peak_bytes);
  }
  return element("figure", {{"class", "chart wide"}},
                 text_element("figcaption", "Predicted peak memory of the process, " +
                                                format_bytes(plan.peak_bytes)) +
                     element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                             svg_picture(kWidth, kHeight, summary + ".", drawn)) +
                     element("ul", {{"class", "legend"}}, legend));
}

}  // namespace wholemount
