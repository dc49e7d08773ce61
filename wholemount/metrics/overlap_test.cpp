#include "wholemount/metrics/overlap.h"

#include <gtest/gtest.h>

namespace wholemount {
namespace {

TEST(Overlap, metrics_of_a_worked_example) {
  const OverlapCounts counts{6, 2, 4, 88};
  EXPECT_DOUBLE_EQ(*dice(counts), 12.0 / 18.0);
  EXPECT_DOUBLE_EQ(*iou(counts), 0.5);
  EXPECT_DOUBLE_EQ(*sensitivity(counts), 0.6);
  EXPECT_DOUBLE_EQ(*precision(counts), 0.75);
  EXPECT_DOUBLE_EQ(*specificity(counts), 88.0 / 90.0);
  EXPECT_DOUBLE_EQ(*accuracy(counts), 0.94);
  EXPECT_DOUBLE_EQ(*relative_volume_error(counts), -0.2);
}

TEST(Overlap, undefined_ratios_have_no_value) {
  const OverlapCounts both_empty{0, 0, 0, 50};
  EXPECT_FALSE(dice(both_empty));
  EXPECT_FALSE(iou(both_empty));
  EXPECT_FALSE(sensitivity(both_empty));
  EXPECT_FALSE(precision(both_empty));
  EXPECT_FALSE(relative_volume_error(both_empty));
  EXPECT_EQ(*accuracy(both_empty), 1.0);
  EXPECT_FALSE(accuracy({}));
  const OverlapCounts false_alarm{0, 3, 0, 47};
  EXPECT_EQ(*dice(false_alarm), 0.0);
  EXPECT_FALSE(sensitivity(false_alarm));
}

TEST(Overlap, challenge_convention_scores_an_empty_case_one_and_a_false_alarm_zero) {
  EXPECT_EQ(dice_with_empty_as_one({0, 0, 0, 50}), 1.0);
  EXPECT_EQ(dice_with_empty_as_one({0, 3, 0, 47}), 0.0);
  EXPECT_EQ(dice_with_empty_as_one({1, 0, 1, 8}), 2.0 / 3.0);
}

TEST(Overlap, classes_are_counted_one_against_the_rest) {
  const std::vector<uint8_t> prediction{0, 1, 2, 2, 1, 0, 7};
  const std::vector<uint8_t> reference{0, 1, 2, 1, 1, 2, 0};
  std::vector<OverlapCounts> counts(3);
  accumulate_classes(prediction, reference, counts);
  EXPECT_EQ(counts[0], (OverlapCounts{1, 1, 1, 4}));
  EXPECT_EQ(counts[1], (OverlapCounts{2, 0, 1, 4}));
  EXPECT_EQ(counts[2], (OverlapCounts{1, 1, 1, 4}));
}

TEST(Overlap, regions_are_counted_bit_by_bit_inside_the_box_only) {
  const Extent3 extent{2, 2, 4};
  std::vector<uint8_t> prediction(16, 3);
  std::vector<uint8_t> reference(16, 3);
  // Inside the box: row (1, 1), w 1..2; everything else must not matter.
  prediction[13] = 1;
  reference[13] = 2;
  prediction[14] = 3;
  reference[14] = 1;
  prediction[0] = 0;
  const TensorDesc desc = TensorDesc::plain(1, 1, extent, DType::u8);
  const TensorView p = whole_view(desc, reinterpret_cast<std::byte*>(prediction.data()));
  const TensorView t = whole_view(desc, reinterpret_cast<std::byte*>(reference.data()));
  const auto counts = count_overlap(p, t, {{1, 1, 1}, {2, 2, 3}}, LabelCoding::regions, 2);
  EXPECT_EQ(counts[0], (OverlapCounts{1, 1, 0, 0}));
  EXPECT_EQ(counts[1], (OverlapCounts{0, 1, 1, 0}));
  EXPECT_EQ(count_overlap(p, t, whole_box(extent), LabelCoding::classes, 4)[3].total(), 16);
}

TEST(Overlap, ignored_voxels_take_no_part) {
  const std::vector<uint8_t> prediction{1, 1, 0, 255};
  const std::vector<uint8_t> reference{1, 255, 255, 0};
  std::vector<OverlapCounts> classes(2);
  accumulate_classes(prediction, reference, classes);
  EXPECT_EQ(classes[1], (OverlapCounts{1, 0, 0, 1}));
  std::vector<OverlapCounts> regions(1);
  accumulate_regions(prediction, reference, regions);
  EXPECT_EQ(regions[0], (OverlapCounts{1, 1, 0, 0}));
  std::vector<float> probabilities{1, 1, 1, 0.5F};
  std::vector<uint8_t> labels = reference;
  const SoftSums sums =
      count_soft_region(whole_view(TensorDesc::plain(1, 1, {1, 1, 4}),
                                   reinterpret_cast<std::byte*>(probabilities.data())),
                        0,
                        whole_view(TensorDesc::plain(1, 1, {1, 1, 4}, DType::u8),
                                   reinterpret_cast<std::byte*>(labels.data())),
                        1, whole_box({1, 1, 4}));
  EXPECT_EQ(sums.predicted, 1.5);
  EXPECT_EQ(sums.reference, 1.0);
}

TEST(Overlap, soft_dice_uses_probabilities_and_equals_hard_dice_on_hard_ones) {
  const Extent3 extent{1, 1, 4};
  std::vector<float> probabilities{0.5F, 1.0F, 0.25F, 0.0F,   // channel 0
                                   1.0F, 1.0F, 0.0F,  0.0F};  // channel 1: hard
  std::vector<uint8_t> reference{2, 2, 1, 2};
  const TensorView p = whole_view(TensorDesc::plain(1, 2, extent),
                                  reinterpret_cast<std::byte*>(probabilities.data()));
  const TensorView t = whole_view(TensorDesc::plain(1, 1, extent, DType::u8),
                                  reinterpret_cast<std::byte*>(reference.data()));
  const SoftSums soft = count_soft_region(p, 0, t, 2, whole_box(extent));
  EXPECT_DOUBLE_EQ(*soft_dice(soft), 2 * 1.5 / (1.75 + 3));
  EXPECT_DOUBLE_EQ(*soft_dice(soft, 1.0), (2 * 1.5 + 1) / (1.75 + 3 + 1));
  const SoftSums hard = count_soft_region(p, 1, t, 2, whole_box(extent));
  EXPECT_DOUBLE_EQ(*soft_dice(hard), *dice({2, 0, 1, 1}));
  EXPECT_FALSE(soft_dice({}));
  EXPECT_EQ(*soft_dice({}, 1e-4), 1.0);
}

TEST(Overlap, pooled_dice_differs_from_the_mean_over_cases) {
  const std::vector<OverlapCounts> cases{{10, 0, 0, 0}, {0, 5, 5, 0}, {0, 0, 0, 10}};
  EXPECT_DOUBLE_EQ(*pooled_dice(cases), 20.0 / 30.0);
  std::vector<std::optional<double>> each;
  for (const OverlapCounts& counts : cases) each.push_back(dice(counts));
  EXPECT_DOUBLE_EQ(*mean_of_defined(each), 0.5);
  EXPECT_FALSE(mean_of_defined(std::vector<std::optional<double>>{std::nullopt}));
}

}  // namespace
}  // namespace wholemount
