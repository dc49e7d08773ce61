#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wholemount {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

struct ChartSeries {
  enum class Style : uint8_t { line, thin, marked };
  std::string name;
  std::vector<ChartPoint> points;  ///< rising x; points that are not finite are left out
  Style style = Style::line;
  int colour = 0;  ///< of the page's palette, 0 to 5
};

/// A line chart over whole-numbered x.
struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartSeries> series;
  double x_end = 0;                ///< the x axis reaches at least this far
  bool from_zero = false;          ///< the y axis begins at 0
  bool allow_logarithmic = false;  ///< where all y are positive and span more than a factor of 30
};

/// A figure with an inline SVG: axes with ticks, labels and units, a legend, and a text that says
/// what it shows. Long series are thinned to the highest and lowest point of each of 400 pieces. A
/// chart without any point becomes a sentence saying so.
[[nodiscard]] std::string render_line_chart(const LineChart& chart);

/// The median of the `window` points around each of at most 500 evenly chosen points.
[[nodiscard]] std::vector<ChartPoint> running_median(const std::vector<ChartPoint>& points,
                                                     size_t window);

/// At most 2 * pieces + 2 points, in order, with the first, the last and every extreme.
[[nodiscard]] std::vector<ChartPoint> thin_points(const std::vector<ChartPoint>& points,
                                                  size_t pieces);

}  // namespace wholemount
