#include "wholemount/report/chart_frame.h"

#include "wholemount/report/markup.h"

namespace wholemount {

std::string svg_text(double x, double y, const char* anchor, std::string_view text,
                     const std::string& css_class) {
  return text_element(
      "text",
      {{"x", coordinate(x)}, {"y", coordinate(y)}, {"text-anchor", anchor}, {"class", css_class}},
      text);
}

std::string svg_line(double x1, double y1, double x2, double y2, const std::string& css_class) {
  return empty_element("line", {{"x1", coordinate(x1)},
                                {"y1", coordinate(y1)},
                                {"x2", coordinate(x2)},
                                {"y2", coordinate(y2)},
                                {"class", css_class}});
}

std::string svg_rectangle(double x, double y, double width, double height,
                          const std::string& css_class) {
  return empty_element("rect", {{"x", coordinate(x)},
                                {"y", coordinate(y)},
                                {"width", coordinate(width)},
                                {"height", coordinate(height)},
                                {"class", css_class}});
}

std::string svg_picture(double width, double height, const std::string& summary,
                        std::string_view content) {
  return element("svg",
                 {{"viewBox", "0 0 " + coordinate(width) + " " + coordinate(height)},
                  {"role", "img"},
                  {"aria-label", summary}},
                 content);
}

std::string ChartFrame::render(std::string_view drawn, const std::string& summary) const {
  const double x_begin = left;
  const double x_end = width - right;
  const double y_end = height - bottom;
  std::string content;
  for (const AxisTick& tick : y_axis.ticks) {
    const double at = y(tick.value);
    content += svg_line(x_begin, at, x_end, at, "grid");
    content += svg_text(x_begin - 6, at + 4, "end", tick.label);
  }
  for (const AxisTick& tick : x_axis.ticks) {
    const double at = x(tick.value);
    content += svg_line(at, y_end, at, y_end + 4, "axis");
    content += svg_text(at, y_end + 17, "middle", tick.label);
  }
  content += svg_line(x_begin, y_end, x_end, y_end, "axis");
  content += svg_text((x_begin + x_end) / 2, height - 6, "middle", x_label, "label");
  content += text_element(
      "text",
      {{"transform", "translate(13 " + coordinate((top + y_end) / 2) + ") rotate(-90)"},
       {"text-anchor", "middle"},
       {"class", "label"}},
      y_label);
  content += drawn;
  return svg_picture(width, height, summary, content);
}

}  // namespace wholemount
