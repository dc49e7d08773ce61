#include "wholemount/report/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "wholemount/report/axis.h"
#include "wholemount/report/chart_frame.h"
#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr size_t kPieces = 400;
constexpr double kLogarithmicRatio = 30;

struct Bounds {
  double x_low = INFINITY;
  double x_high = -INFINITY;
  double y_low = INFINITY;
  double y_high = -INFINITY;
};

std::vector<ChartSeries> finite_series(const LineChart& chart) {
  std::vector<ChartSeries> kept;
  for (ChartSeries series : chart.series) {
    std::erase_if(series.points, [](const ChartPoint& point) {
      return !std::isfinite(point.x) || !std::isfinite(point.y);
    });
    if (!series.points.empty()) kept.push_back(std::move(series));
  }
  return kept;
}

Bounds bounds_of(const std::vector<ChartSeries>& all) {
  Bounds bounds;
  for (const ChartSeries& series : all) {
    for (const ChartPoint& point : series.points) {
      bounds.x_low = std::min(bounds.x_low, point.x);
      bounds.x_high = std::max(bounds.x_high, point.x);
      bounds.y_low = std::min(bounds.y_low, point.y);
      bounds.y_high = std::max(bounds.y_high, point.y);
    }
  }
  return bounds;
}

std::string colour_class(const ChartSeries& series) {
  return "c" + std::to_string(std::clamp(series.colour, 0, 5));
}

std::string draw_series(const ChartSeries& series, const ChartFrame& frame) {
  std::string path;
  std::string markers;
  for (const ChartPoint& point : thin_points(series.points, kPieces)) {
    const double x = frame.x(point.x);
    const double y = frame.y(point.y);
    path += (path.empty() ? "M" : "L") + coordinate(x) + " " + coordinate(y);
    if (series.style == ChartSeries::Style::marked || series.points.size() == 1) {
      markers += empty_element("circle", {{"cx", coordinate(x)},
                                          {"cy", coordinate(y)},
                                          {"r", "2.5"},
                                          {"class", "dot " + colour_class(series)}});
    }
  }
  const bool thin = series.style == ChartSeries::Style::thin;
  return empty_element(
             "path",
             {{"d", path}, {"class", (thin ? "line thin " : "line ") + colour_class(series)}}) +
         markers;
}

std::string legend_of(const std::vector<ChartSeries>& all) {
  std::string items;
  for (const ChartSeries& series : all) {
    const bool thin = series.style == ChartSeries::Style::thin;
    items += element(
        "li", text_element("span",
                           {{"class", (thin ? "key thin " : "key ") + colour_class(series)}}, "") +
                  escape_markup(series.name));
  }
  return element("ul", {{"class", "legend"}}, items);
}

std::string spoken_summary(const LineChart& chart, const std::vector<ChartSeries>& all) {
  std::string text = chart.title + " over " + chart.x_label + ".";
  for (const ChartSeries& series : all) {
    text += fmt::format(" {}: from {} to {}.", series.name,
                        fmt::format("{:.4g}", series.points.front().y),
                        fmt::format("{:.4g}", series.points.back().y));
  }
  return text;
}

}  // namespace

std::vector<ChartPoint> thin_points(const std::vector<ChartPoint>& points, size_t pieces) {
  if (points.size() <= 2 * pieces) return points;
  std::vector<ChartPoint> thinned;
  for (size_t piece = 0; piece < pieces; ++piece) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(points.size() * piece / pieces);
    const auto end =
        points.begin() + static_cast<std::ptrdiff_t>(points.size() * (piece + 1) / pieces);
    auto [low, high] = std::minmax_element(
        begin, end, [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; });
    if (high < low) std::swap(low, high);
    if (piece == 0 && low != begin) thinned.push_back(points.front());
    thinned.push_back(*low);
    thinned.push_back(*high);
    if (piece + 1 == pieces && high + 1 != end) thinned.push_back(points.back());
  }
  return thinned;
}

std::vector<ChartPoint> running_median(const std::vector<ChartPoint>& points, size_t window) {
  constexpr size_t kChosen = 500;
  std::vector<ChartPoint> medians;
  const size_t count = std::min(points.size(), kChosen);
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = count == 1 ? 0 : i * (points.size() - 1) / (count - 1);
    // Near the ends the window gets narrower on both sides, so that the median is not shifted.
    const size_t half = std::min({window / 2, at, points.size() - 1 - at});
    values.clear();
    for (size_t k = at - half; k <= at + half; ++k) values.push_back(points[k].y);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
    std::nth_element(values.begin(), middle, values.end());
    medians.push_back({points[at].x, *middle});
  }
  return medians;
}

std::string render_line_chart(const LineChart& chart) {
  const std::vector<ChartSeries> series = finite_series(chart);
  if (series.empty()) {
    return text_element("p", {{"class", "absent"}}, chart.title + ": nothing logged yet.");
  }
  Bounds bounds = bounds_of(series);
  bounds.x_high = std::max(bounds.x_high, chart.x_end);
  constexpr size_t kTicks = 6;
  const bool logarithmic = chart.allow_logarithmic && bounds.y_low > 0 &&
                           bounds.y_high / bounds.y_low > kLogarithmicRatio;
  ChartFrame frame;
  frame.title = chart.title;
  frame.x_label = chart.x_label;
  frame.y_label = chart.y_label + (logarithmic ? " (logarithmic)" : "");
  // Charts beside each other share their ends.
  const bool from_start =
      bounds.x_low >= 0 && (bounds.x_low < 0.3 * bounds.x_high || chart.x_end > 0);
  frame.x_axis = count_axis(from_start ? 0 : bounds.x_low, bounds.x_high, kTicks);
  if (logarithmic) {
    frame.y_axis = logarithmic_axis(bounds.y_low, bounds.y_high);
  } else {
    frame.y_axis = linear_axis(chart.from_zero ? std::min(0.0, bounds.y_low) : bounds.y_low,
                               bounds.y_high, kTicks);
  }
  std::string drawn;
  for (const ChartSeries& one : series) drawn += draw_series(one, frame);
  return element("figure", {{"class", "chart"}},
                 text_element("figcaption", chart.title) +
                     frame.render(drawn, spoken_summary(chart, series)) + legend_of(series));
}

}  // namespace wholemount
