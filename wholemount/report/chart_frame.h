#pragma once

#include <string>
#include <string_view>

#include "wholemount/report/axis.h"

namespace wholemount {

/// The drawing area of a chart with its axes; sizes in SVG units (about a pixel).
struct ChartFrame {
  std::string title;
  std::string x_label;
  std::string y_label;
  Axis x_axis;
  Axis y_axis;
  double width = 480;
  double height = 270;
  double left = 70;
  double right = 14;
  double top = 12;
  double bottom = 44;

  [[nodiscard]] double x(double value) const {
    return left + x_axis.position(value) * (width - left - right);
  }
  [[nodiscard]] double y(double value) const {
    return height - bottom - y_axis.position(value) * (height - top - bottom);
  }
  /// The SVG: grid, ticks and labels, then `drawn` on top. `summary` is for those who cannot see
  /// it.
  [[nodiscard]] std::string render(std::string_view drawn, const std::string& summary) const;
};

/// Text at a place; anchor is "start", "middle" or "end".
[[nodiscard]] std::string svg_text(double x, double y, const char* anchor, std::string_view text,
                                   const std::string& css_class = "tick");
[[nodiscard]] std::string svg_line(double x1, double y1, double x2, double y2,
                                   const std::string& css_class);
[[nodiscard]] std::string svg_rectangle(double x, double y, double width, double height,
                                        const std::string& css_class);

/// An SVG of this size around `content`, named by `summary`.
[[nodiscard]] std::string svg_picture(double width, double height, const std::string& summary,
                                      std::string_view content);

}  // namespace wholemount
