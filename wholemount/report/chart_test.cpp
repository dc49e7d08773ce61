#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "wholemount/report/axis.h"
#include "wholemount/report/line_chart.h"
#include "wholemount/report/markup_test_support.h"
#include "wholemount/report/memory_bar.h"

namespace wholemount {
namespace {

using testing::markup_error;

std::vector<std::string> labels(const Axis& axis) {
  std::vector<std::string> all;
  for (const AxisTick& tick : axis.ticks) all.push_back(tick.label);
  return all;
}

using Labels = std::vector<std::string>;

TEST(Axis, linear_ticks_are_round_and_cover_the_range) {
  EXPECT_EQ(labels(linear_axis(0.13, 0.97, 6)), (Labels{"0", "0.2", "0.4", "0.6", "0.8", "1"}));
  EXPECT_EQ(labels(linear_axis(-3, 12, 6)), (Labels{"-5", "0", "5", "10", "15"}));
  EXPECT_EQ(labels(linear_axis(0, 0.002, 6)), (Labels{"0", "0.0005", "0.001", "0.0015", "0.002"}));
}

TEST(Axis, no_range_gives_more_ticks_than_asked_for) {
  for (double low = -7.3; low < 8; low += 1.1) {
    for (double span = 1e-6; span < 1e9; span *= 3.7) {
      for (const size_t most : {3U, 5U, 8U}) {
        const Axis axis = linear_axis(low, low + span, most);
        EXPECT_LE(axis.ticks.size(), most) << low << " " << span;
        EXPECT_GE(axis.ticks.size(), 2U) << low << " " << span;
        // The axis forgives 1e-9 of a step, so that rounding adds no tick; with three ticks a step
        // is at most five times the span.
        const double tolerance = 5e-9 * (std::fabs(low) + span);
        EXPECT_LE(axis.low, low + tolerance);
        EXPECT_GE(axis.high, low + span - tolerance);
      }
    }
  }
}

TEST(Axis, a_single_value_lies_inside_its_axis) {
  for (const double value : {0.0, 0.25, -4.0, 1e8}) {
    const Axis axis = linear_axis(value, value, 6);
    EXPECT_GT(axis.position(value), 0);
    EXPECT_LT(axis.position(value), 1);
  }
}

TEST(Axis, counts_have_whole_ticks) {
  EXPECT_EQ(labels(count_axis(0, 3, 6)), (Labels{"0", "1", "2", "3"}));
  EXPECT_EQ(labels(count_axis(0, 60000, 4)), (Labels{"0", "20k", "40k", "60k"}));
  EXPECT_EQ(labels(count_axis(1, 1, 6)), (Labels{"1", "2"}));
}

TEST(Axis, logarithmic_ticks_are_powers_of_ten) {
  const Axis axis = logarithmic_axis(0.003, 40);
  EXPECT_TRUE(axis.logarithmic);
  EXPECT_LE(axis.low, 0.003);
  EXPECT_GE(axis.high, 40);
  EXPECT_EQ(labels(axis), (Labels{"0.001", "0.01", "0.1", "1", "10", "100"}));
  EXPECT_EQ(labels(logarithmic_axis(0.1, 4)), (Labels{"0.1", "0.2", "0.5", "1", "2", "5"}));
  // The middle of two decades is one decade up.
  EXPECT_NEAR(logarithmic_axis(1, 100).position(10), 0.5, 1e-12);
}

TEST(Axis, bytes_are_counted_in_powers_of_1024) {
  EXPECT_EQ(labels(bytes_axis(100.0 * (1 << 20), 6)),
            (Labels{"0 MiB", "20 MiB", "40 MiB", "60 MiB", "80 MiB", "100 MiB"}));
  EXPECT_EQ(bytes_axis(100.0 * (1 << 20), 6).ticks.back().value, 100.0 * (1 << 20));
  EXPECT_EQ(labels(bytes_axis(7.5 * (1 << 30), 6)).back(), "8 GiB");
}

TEST(LineChart, thinning_keeps_extremes_and_ends) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 10000; ++i) points.push_back({static_cast<double>(i), std::sin(i * 0.01)});
  points[4321].y = 50;
  points[77].y = -50;
  const std::vector<ChartPoint> thinned = thin_points(points, 100);
  EXPECT_LE(thinned.size(), 202U);
  EXPECT_EQ(thinned.front().x, 0);
  EXPECT_EQ(thinned.back().x, 9999);
  const auto has = [&](double y) {
    return std::any_of(thinned.begin(), thinned.end(), [&](const auto& p) { return p.y == y; });
  };
  EXPECT_TRUE(has(50));
  EXPECT_TRUE(has(-50));
  for (size_t i = 1; i < thinned.size(); ++i) EXPECT_LE(thinned[i - 1].x, thinned[i].x);
}

TEST(LineChart, running_median_ignores_a_spike_and_does_not_shift_the_ends) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 100; ++i) points.push_back({static_cast<double>(i), static_cast<double>(i)});
  points[50].y = 1e9;
  const std::vector<ChartPoint> medians = running_median(points, 9);
  ASSERT_EQ(medians.size(), 100U);
  EXPECT_EQ(medians.front().y, 0);
  EXPECT_EQ(medians.back().y, 99);
  // The spike takes the place of 50 among 46 ... 54, so the middle moves up to 51.
  EXPECT_EQ(medians[50].y, 51);
  EXPECT_TRUE(running_median({}, 9).empty());
}

TEST(LineChart, every_axis_and_series_is_labelled_and_the_markup_is_balanced) {
  LineChart chart{"Loss <1>", "update", "loss & more", {}, 0, false, true};
  chart.series.push_back({"a < b", {{1, 0.5}, {2, NAN}, {3, 0.25}}, ChartSeries::Style::marked, 1});
  const std::string svg = render_line_chart(chart);
  EXPECT_EQ(markup_error(svg), "") << svg;
  for (const char* text : {"Loss &lt;1&gt;", ">update<", "loss &amp; more", "a &lt; b"}) {
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(LineChart, without_points_a_sentence_stands_in_its_place) {
  LineChart chart{"Dice", "update", "Dice", {}, 0, false, false};
  chart.series.push_back({"mean", {{1, NAN}}, ChartSeries::Style::line, 0});
  EXPECT_EQ(render_line_chart(chart), "<p class=\"absent\">Dice: nothing logged yet.</p>");
}

TEST(LineChart, wide_positive_ranges_become_logarithmic_where_allowed) {
  LineChart chart{"Loss", "update", "loss", {}, 0, false, true};
  chart.series.push_back({"x", {{1, 0.01}, {2, 9}}, ChartSeries::Style::line, 0});
  EXPECT_NE(render_line_chart(chart).find("logarithmic"), std::string::npos);
  chart.series[0].points[0].y = -0.01;
  EXPECT_EQ(render_line_chart(chart).find("logarithmic"), std::string::npos);
}

TEST(LineChart, the_x_axis_reaches_from_0_to_the_end_of_the_run) {
  LineChart chart{"Dice", "update", "Dice", {}, 40, false, false};
  chart.series.push_back({"mean", {{20, 0.5}}, ChartSeries::Style::marked, 0});
  const std::string svg = render_line_chart(chart);
  EXPECT_NE(svg.find(">0</text>"), std::string::npos);
  EXPECT_NE(svg.find(">40</text>"), std::string::npos);
}

TEST(MemoryBar, the_measured_peak_is_named_when_known) {
  RecordedPlan plan;
  plan.peak_bytes = 100 << 20;
  plan.arena_bytes = 60 << 20;
  plan.parameter_bytes = 10 << 20;
  EXPECT_EQ(plan.other_bytes(), size_t{30} << 20);
  const std::string with = render_memory_bar(plan, 98 << 20);
  EXPECT_EQ(markup_error(with), "");
  EXPECT_NE(with.find("measured 98.00 MiB"), std::string::npos);
  EXPECT_EQ(render_memory_bar(plan, 0).find("measured"), std::string::npos);
}

}  // namespace
}  // namespace wholemount
