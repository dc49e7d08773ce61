#include "wholemount/metrics/threshold_baseline.h"

#include <gtest/gtest.h>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using V = std::vector<float>;
using T = std::vector<uint8_t>;

TEST(ThresholdBaseline, keeps_only_the_largest_component) {
  // One row: a target of three bright voxels, a gap, a distractor of two brighter ones.
  ThresholdBaseline baseline({1.5}, ThresholdSide::above);
  baseline.add_case({1, 1, 8}, V{1, 2, 2, 2, 1, 3, 3, 1}, T{0, 1, 1, 1, 0, 0, 0, 0});
  EXPECT_EQ(baseline.best().dice, 1.0);
}

TEST(ThresholdBaseline, a_larger_distractor_costs_everything) {
  ThresholdBaseline baseline({1.5}, ThresholdSide::above);
  baseline.add_case({1, 1, 8}, V{1, 2, 2, 1, 3, 3, 3, 1}, T{0, 1, 1, 0, 0, 0, 0, 0});
  EXPECT_EQ(baseline.best().dice, 0.0);
}

TEST(ThresholdBaseline, components_touch_through_faces_only) {
  // Two voxels on a diagonal are two components; below one another they are one.
  ThresholdBaseline diagonal({1.0}, ThresholdSide::above);
  diagonal.add_case({1, 2, 2}, V{1, 0, 0, 1}, T{1, 0, 0, 1});
  EXPECT_DOUBLE_EQ(diagonal.best().dice, 2.0 * 1 / (1 + 2));
  ThresholdBaseline stacked({1.0}, ThresholdSide::above);
  stacked.add_case({2, 1, 2}, V{1, 0, 1, 0}, T{1, 0, 1, 0});
  EXPECT_EQ(stacked.best().dice, 1.0);
}

TEST(ThresholdBaseline, one_threshold_serves_all_cases) {
  // Each case alone has a perfect threshold (2 or 20), but not the same one.
  const T truth{0, 1, 0};
  const std::vector<double> thresholds{2, 20};
  ThresholdBaseline baseline(thresholds, ThresholdSide::above);
  baseline.add_case({1, 1, 3}, V{1, 2, 1}, truth);
  EXPECT_EQ(baseline.best().dice, 1.0);
  baseline.add_case({1, 1, 3}, V{10, 20, 10}, truth);
  // At 2: 1 and 2 * 1 / (3 + 1); at 20: 0 and 1.
  EXPECT_DOUBLE_EQ(baseline.best().dice, (1.0 + 0.5) / 2);
  EXPECT_EQ(baseline.best().threshold, 2);
}

TEST(ThresholdBaseline, below_keeps_dark_voxels_but_never_the_outside) {
  ThresholdBaseline baseline({5}, ThresholdSide::below);
  baseline.add_case({1, 1, 6}, V{0, 0, 9, 4, 5, 9}, T{0, 0, 0, 1, 1, 0});
  EXPECT_EQ(baseline.best().dice, 1.0);
}

TEST(ThresholdBaseline, refuses_unsorted_thresholds_and_other_sizes) {
  WM_EXPECT_ERROR(ThresholdBaseline({2, 1}, ThresholdSide::above), ConfigError, "rising order");
  ThresholdBaseline baseline({1}, ThresholdSide::above);
  WM_EXPECT_ERROR(baseline.add_case({1, 1, 2}, V{1}, T{1, 0}), ShapeError, "1x1x2");
}

}  // namespace
}  // namespace wholemount
