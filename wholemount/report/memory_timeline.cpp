#include "wholemount/report/memory_timeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "wholemount/base/memory.h"
#include "wholemount/report/chart_frame.h"
#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMaxPieces = 600;

struct Band {
  std::string name;
  std::string css_class;
  std::vector<size_t> bytes;  ///< by drawn piece
};

/// The fullest step of each piece.
std::vector<size_t> drawn_steps(const MemoryTimeline& timeline) {
  const size_t steps = timeline.num_steps();
  const size_t pieces = std::min(steps, kMaxPieces);
  std::vector<size_t> chosen;
  for (size_t piece = 0; piece < pieces; ++piece) {
    size_t best = steps * piece / pieces;
    for (size_t step = best; step < steps * (piece + 1) / pieces; ++step) {
      if (timeline.live(step) > timeline.live(best)) best = step;
    }
    chosen.push_back(best);
  }
  return chosen;
}

std::vector<Band> bands_of(const MemoryTimeline& timeline, const std::vector<size_t>& steps) {
  std::vector<Band> bands;
  for (size_t i = 0; i < timeline.constants.size(); ++i) {
    bands.push_back({timeline.constants[i].name, "b" + std::to_string(4 - std::min<size_t>(i, 4)),
                     std::vector<size_t>(steps.size(), timeline.constants[i].bytes)});
  }
  const auto add = [&](const char* name, const char* css_class, const std::vector<size_t>& all) {
    Band band{name, css_class, {}};
    for (const size_t step : steps) band.bytes.push_back(all[step]);
    bands.push_back(std::move(band));
  };
  add("activations", "k0", timeline.activations);
  add("gradients", "k1", timeline.gradients);
  add("scratch of kernels", "k2", timeline.scratch);
  return bands;
}

/// The outline of a band: along its top from left to right, back along its bottom.
std::string area(const ChartFrame& frame, const std::vector<double>& lower,
                 const std::vector<double>& upper, const std::string& css_class) {
  const double pitch = (frame.width - frame.left - frame.right) / static_cast<double>(lower.size());
  std::string there;
  std::string back;
  for (size_t i = 0; i < lower.size(); ++i) {
    const double x0 = frame.left + pitch * static_cast<double>(i);
    const double x1 = x0 + pitch;
    there += (i == 0 ? "M" : "L") + coordinate(x0) + " " + coordinate(frame.y(upper[i])) + "H" +
             coordinate(x1);
    back = "L" + coordinate(x1) + " " + coordinate(frame.y(lower[i])) + "H" + coordinate(x0) + back;
  }
  return empty_element("path", {{"d", there + back + "Z"}, {"class", css_class}});
}

std::string peak_label(const MemoryTimeline& timeline, const ChartFrame& frame, double peak) {
  const double share =
      (static_cast<double>(timeline.peak_step) + 0.5) / static_cast<double>(timeline.num_steps());
  const double x = frame.left + share * (frame.width - frame.left - frame.right);
  const double y = frame.y(peak);
  const bool right_half = share > 0.5;
  return empty_element(
             "circle",
             {{"cx", coordinate(x)}, {"cy", coordinate(y)}, {"r", "3.5"}, {"class", "peak"}}) +
         svg_text(x + (right_half ? -8 : 8), y - 7, right_half ? "end" : "start",
                  fmt::format("peak {} at step {}: {}", format_bytes(static_cast<size_t>(peak)),
                              timeline.peak_step, timeline.peak_node),
                  "note");
}

std::string legend_of(const std::vector<Band>& bands) {
  std::string items;
  for (auto band = bands.rbegin(); band != bands.rend(); ++band) {
    const size_t most = *std::max_element(band->bytes.begin(), band->bytes.end());
    items += element("li", text_element("span", {{"class", "box " + band->css_class}}, "") +
                               escape_markup(band->name + ", at most " + format_bytes(most)));
  }
  return element("ul", {{"class", "legend"}}, items);
}

}  // namespace

size_t MemoryTimeline::constant_bytes() const {
  size_t sum = 0;
  for (const ConstantMemory& constant : constants) sum += constant.bytes;
  return sum;
}

MemoryTimeline memory_timeline(const Program& program) {
  MemoryTimeline timeline;
  const size_t steps = program.steps.size();
  timeline.activations.assign(steps, 0);
  timeline.gradients.assign(steps, 0);
  timeline.scratch.assign(steps, 0);
  for (const ArenaUse& use : program.uses) {
    std::vector<size_t>& kind = use.kind == ArenaUse::Kind::activation ? timeline.activations
                                : use.kind == ArenaUse::Kind::gradient ? timeline.gradients
                                                                       : timeline.scratch;
    const size_t bytes = (use.bytes + kAlignment - 1) / kAlignment * kAlignment;
    for (int32_t step = use.first_step; step <= use.last_step; ++step) {
      kind[static_cast<size_t>(step)] += bytes;
    }
  }
  timeline.first_backward_step = steps;
  for (size_t step = 0; step < steps; ++step) {
    const Node& node = program.graph->nodes[static_cast<size_t>(program.steps[step].node)];
    if (node.pass == Pass::backward && timeline.first_backward_step == steps) {
      timeline.first_backward_step = step;
    }
    if (timeline.live(step) > timeline.live(timeline.peak_step)) timeline.peak_step = step;
  }
  if (steps > 0) {
    const Node& node =
        program.graph->nodes[static_cast<size_t>(program.steps[timeline.peak_step].node)];
    timeline.peak_node = node.name;
    timeline.peak_in_backward = node.pass == Pass::backward;
  }
  return timeline;
}

std::string render_memory_timeline(const MemoryTimeline& timeline) {
  const std::vector<size_t> steps = drawn_steps(timeline);
  if (steps.empty()) return {};
  const std::vector<Band> bands = bands_of(timeline, steps);
  const auto peak =
      static_cast<double>(timeline.constant_bytes() + timeline.live(timeline.peak_step));
  ChartFrame frame;
  frame.width = 960;
  frame.height = 340;
  frame.left = 78;
  frame.x_label = "step of one update (node execution)";
  frame.y_label = "bytes in use";
  frame.x_axis = count_axis(0, static_cast<double>(timeline.num_steps()), 11);
  frame.y_axis = bytes_axis(peak * 1.12, 7);

  std::string drawn;
  std::vector<double> lower(steps.size(), 0.0);
  for (const Band& band : bands) {
    std::vector<double> upper = lower;
    for (size_t i = 0; i < steps.size(); ++i) upper[i] += static_cast<double>(band.bytes[i]);
    drawn += area(frame, lower, upper, "area " + band.css_class);
    lower = std::move(upper);
  }
  if (timeline.first_backward_step > 0 && timeline.first_backward_step < timeline.num_steps()) {
    const double x = frame.x(static_cast<double>(timeline.first_backward_step));
    drawn += svg_line(x, frame.top, x, frame.height - frame.bottom, "divider");
    drawn += svg_text(x - 6, frame.top + 10, "end", "forward", "note");
    drawn += svg_text(x + 6, frame.top + 10, "start", "backward", "note");
  }
  drawn += peak_label(timeline, frame, peak);
  const std::string summary =
      fmt::format("Memory over the {} steps of one update; the peak of {} is at step {}, {}.",
                  timeline.num_steps(), format_bytes(static_cast<size_t>(peak)), timeline.peak_step,
                  timeline.peak_node);
  return element(
      "figure", {{"class", "chart wide"}},
      text_element("figcaption", "Live memory over the steps of one update") +
          element("div", {{"class", "scroll"}, {"tabindex", "0"}}, frame.render(drawn, summary)) +
          legend_of(bands));
}

}  // namespace wholemount
