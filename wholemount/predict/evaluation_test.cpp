#include "wholemount/predict/evaluation.h"

#include <gtest/gtest.h>

#include <vector>

#include "wholemount/image/volume_test_support.h"
#include "wholemount/predict/label_pairs.h"

namespace wholemount {
namespace {

using testing::make_header;
using testing::make_nifti;
using testing::TemporaryFolder;
using testing::write_bytes;

NiftiReader label_map(const std::vector<uint8_t>& voxels, const Extent3& extent) {
  return NiftiReader(
      open_memory_source(make_nifti(make_header(extent, VoxelType::u8), voxels), "memory.nii"));
}

TEST(LabelPairs, every_voxel_is_counted_once) {
  const Extent3 extent{2, 1, 4};
  NiftiReader prediction = label_map({0, 0, 1, 1, 1, 255, 0, 0}, extent);
  NiftiReader reference = label_map({0, 0, 1, 0, 1, 255, 0, 1}, extent);
  EXPECT_EQ(count_label_pairs(prediction, reference),
            (std::vector<LabelPair>{{0, 0, 3}, {0, 1, 1}, {1, 0, 1}, {1, 1, 2}, {255, 255, 1}}));
}

TEST(LabelPairs, overlap_equals_that_of_the_metrics_library) {
  const Extent3 extent{3, 5, 7};
  std::vector<uint8_t> a(105);
  std::vector<uint8_t> b(105);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<uint8_t>(i * i % 7 % 4);
    b[i] = static_cast<uint8_t>(i * 5 % 11 % 4);
  }
  NiftiReader prediction = label_map(a, extent);
  NiftiReader reference = label_map(b, extent);
  const std::vector<LabelPair> pairs = count_label_pairs(prediction, reference);
  std::vector<OverlapCounts> wanted(4);
  accumulate_classes(a, b, wanted);
  for (uint8_t value = 0; value < 4; ++value) {
    EXPECT_EQ(overlap_of(pairs, std::vector<uint8_t>{value}), wanted[value]) << int{value};
  }
}

TEST(LabelPairs, a_region_does_not_mind_which_of_its_values_is_there) {
  const std::vector<LabelPair> pairs{{1, 2, 5}, {1, 0, 2}, {0, 3, 4}, {0, 0, 10}};
  const std::vector<uint8_t> region{1, 2};
  const OverlapCounts counts = overlap_of(pairs, region);
  EXPECT_EQ(counts, (OverlapCounts{5, 2, 0, 14}));
}

TEST(EvaluationLabels, keys_are_those_of_nnunet) {
  EXPECT_EQ(make_evaluation_label({3}).key, "3");
  EXPECT_EQ(make_evaluation_label({3, 1, 2, 1}).key, "(1, 2, 3)");
  EXPECT_EQ(make_evaluation_label({3}, "core").name, "core");
}

class EvaluateLabelMaps : public ::testing::Test {
 protected:
  // A cube of side 4 with the value `label`, its first corner at (d, 2, 2).
  void write_cube(const std::string& name, int64_t d, uint8_t label) {
    std::vector<uint8_t> voxels(10 * 10 * 10);
    for (int64_t i = 0; i < 64; ++i) {
      const int64_t at = ((d + i / 16) * 10 + 2 + i / 4 % 4) * 10 + 2 + i % 4;
      voxels[static_cast<size_t>(at)] = label;
    }
    VolumeHeader header = make_header({10, 10, 10}, VoxelType::u8);
    header.geometry = geometry_from_spacing({3, 1, 1});
    write_bytes(folder_ / name, make_nifti(header, voxels));
  }
  TemporaryFolder folder_;
};

TEST_F(EvaluateLabelMaps, surface_metrics_use_the_spacing) {
  write_cube("a.nii", 2, 1);
  write_cube("b.nii", 3, 1);
  EvaluationSpec spec;
  spec.tolerance_mm = 3.0;
  const Evaluation moved = evaluate_label_maps(folder_ / "a.nii", folder_ / "b.nii", spec);
  // One voxel along d is 3 mm: the faces lie that far apart, and nothing lies further.
  EXPECT_EQ(moved.summary.cases[0].labels[0].hd95_mm, 3.0);
  EXPECT_EQ(moved.summary.cases[0].labels[0].nsd, 1.0);
  spec.tolerance_mm = 1.0;
  const Evaluation strict = evaluate_label_maps(folder_ / "a.nii", folder_ / "b.nii", spec);
  EXPECT_LT(*strict.summary.cases[0].labels[0].nsd, 1.0);
}

TEST_F(EvaluateLabelMaps, a_label_in_one_file_only_has_nsd_0_and_no_hd95) {
  write_cube("a.nii", 2, 1);
  write_cube("b.nii", 2, 2);
  const Evaluation both = evaluate_label_maps(folder_ / "a.nii", folder_ / "b.nii", {});
  ASSERT_EQ(both.labels.size(), 2U);
  EXPECT_EQ(both.summary.cases[0].labels[0].nsd, 0.0);
  EXPECT_FALSE(both.summary.cases[0].labels[0].hd95_mm.has_value());
}

TEST_F(EvaluateLabelMaps, more_than_eight_labels_get_surfaces) {
  write_cube("a.nii", 2, 9);
  EvaluationSpec spec;
  spec.labels = {"1+9", "2+9", "3+9", "4+9", "5+9", "6+9", "7+9", "8+9", "9", "9+10", "11"};
  const Evaluation many = evaluate_label_maps(folder_ / "a.nii", folder_ / "a.nii", spec);
  const auto& scores = many.summary.cases[0].labels;
  ASSERT_EQ(scores.size(), 11U);
  for (size_t label = 0; label < 10; ++label) EXPECT_EQ(scores[label].nsd, 1.0) << label;
  EXPECT_FALSE(scores[10].nsd.has_value());
}

TEST_F(EvaluateLabelMaps, the_background_is_first_and_out_of_the_foreground_mean) {
  write_cube("a.nii", 2, 1);
  write_cube("b.nii", 3, 1);
  EvaluationSpec spec;
  spec.labels = {"1", "0"};
  const Evaluation all = evaluate_label_maps(folder_ / "a.nii", folder_ / "b.nii", spec);
  EXPECT_EQ(all.summary.label_names, (std::vector<std::string>{"0", "1"}));
  // 48 of 64 voxels overlap.
  EXPECT_EQ(foreground_mean_score(all.summary, "Dice"), 0.75);
  EXPECT_FALSE(all.summary.cases[0].labels[0].nsd.has_value());
}

TEST_F(EvaluateLabelMaps, without_surfaces_they_are_undefined) {
  write_cube("a.nii", 2, 1);
  EvaluationSpec spec;
  spec.surfaces = false;
  const Evaluation plain = evaluate_label_maps(folder_ / "a.nii", folder_ / "a.nii", spec);
  EXPECT_FALSE(plain.summary.cases[0].labels[0].nsd.has_value());
  EXPECT_EQ(mean_score(plain.summary, 0, "Dice"), 1.0);
}

}  // namespace
}  // namespace wholemount
