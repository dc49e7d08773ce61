#include "wholemount/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace wholemount {
namespace {

ScheduleSpec schedule(ScheduleKind kind) {
  ScheduleSpec result;
  result.kind = kind;
  return result;
}

double plateau(const std::vector<double>& losses, double base = 0.01) {
  SchedulePoint point;
  point.validation_losses = losses;
  return learning_rate(schedule(ScheduleKind::plateau), base, point);
}

TEST(Schedule, constant_stays) {
  EXPECT_EQ(learning_rate(schedule(ScheduleKind::constant), 0.3, {}), 0.3);
}

TEST(Schedule, plateau_reduces_after_patience_failures_and_not_before) {
  EXPECT_EQ(plateau({}), 0.01);
  EXPECT_EQ(plateau({1.0, 1.0, 1.0, 1.0, 1.0}), 0.01);
  EXPECT_EQ(plateau({1.0, 1.0, 1.0, 1.0, 1.0, 1.0}), 0.01 * 0.2);
  EXPECT_EQ(plateau({1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0}), 0.01);
}

TEST(Schedule, plateau_ignores_improvements_below_min_delta) {
  EXPECT_EQ(plateau({1.0, 0.99999, 0.99998, 0.99997, 0.99996, 0.99995}), 0.01 * 0.2);
}

TEST(Schedule, plateau_stops_at_min_rate) {
  const std::vector<double> flat(31, 1.0);  // six reductions
  EXPECT_EQ(plateau(flat), 1e-4);
  EXPECT_EQ(plateau(flat, 5e-5), 5e-5);
}

TEST(Schedule, plateau_takes_nan_for_a_failure) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(plateau({1.0, nan, nan, nan, nan, nan}), 0.01 * 0.2);
}

TEST(Schedule, poly_falls_from_base_to_end) {
  const ScheduleSpec spec = schedule(ScheduleKind::poly);
  SchedulePoint point;
  point.total_steps = 1000;
  EXPECT_EQ(learning_rate(spec, 0.01, point), 0.01);
  point.step = 500;
  EXPECT_NEAR(learning_rate(spec, 0.01, point), 0.01 * std::pow(0.5, 0.9), 1e-17);
  point.step = 1000;
  EXPECT_EQ(learning_rate(spec, 0.01, point), 0.0);
  point.step = 1001;
  EXPECT_EQ(learning_rate(spec, 0.01, point), 0.0);
}

TEST(Schedule, warmup_poly_rises_linearly_then_falls) {
  ScheduleSpec spec = schedule(ScheduleKind::warmup_poly);
  spec.power = 1.0;
  spec.end_rate = 1e-4;
  SchedulePoint point;
  point.steps_per_epoch = 40;
  point.total_steps = 1200;
  EXPECT_EQ(learning_rate(spec, 0.008, point), 0.001);
  point.step = 100;
  EXPECT_DOUBLE_EQ(learning_rate(spec, 0.008, point), 0.0045);
  point.step = 200;
  EXPECT_DOUBLE_EQ(learning_rate(spec, 0.008, point), 0.008);
  point.step = 700;
  EXPECT_DOUBLE_EQ(learning_rate(spec, 0.008, point), 1e-4 + 0.0079 / 2);
  point.step = 1200;
  EXPECT_DOUBLE_EQ(learning_rate(spec, 0.008, point), 1e-4);
}

TEST(Schedule, linear_scaling_follows_the_batch_up_to_its_cap) {
  ScheduleSpec spec = schedule(ScheduleKind::warmup_poly);
  EXPECT_EQ(scaled_rate(spec, 0.001, 256), 0.001);
  spec.reference_batch = 32;
  EXPECT_DOUBLE_EQ(scaled_rate(spec, 0.001, 256), 0.008);
  EXPECT_DOUBLE_EQ(scaled_rate(spec, 0.001, 8), 0.00025);
  spec.max_rate = 0.032;
  EXPECT_DOUBLE_EQ(scaled_rate(spec, 0.001, 2048), 0.032);
}

TEST(Schedule, warmup_longer_than_the_run_only_rises) {
  const ScheduleSpec spec = schedule(ScheduleKind::warmup_poly);
  SchedulePoint point;
  point.steps_per_epoch = 100;
  point.total_steps = 10;
  point.step = 9;
  EXPECT_LT(learning_rate(spec, 0.008, point), 0.008);
  EXPECT_GT(learning_rate(spec, 0.008, point), 0.007);
}

}  // namespace
}  // namespace wholemount
