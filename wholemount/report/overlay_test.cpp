#include "wholemount/report/overlay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "wholemount/report/case_view.h"
#include "wholemount/report/markup_test_support.h"
#include "wholemount/tensor/target.h"

namespace wholemount {
namespace {

/// Grey everywhere, with one voxel of each Agreement in plane d = 1.
LabelledVolume sample_volume() {
  LabelledVolume volume;
  volume.extent = {3, 4, 5};
  volume.geometry = geometry_from_spacing({3, 2, 1});
  volume.image.assign(60, 10.0F);
  volume.truth.assign(60, 0);
  volume.prediction.assign(60, 0);
  const auto set = [&](int64_t w, uint8_t prediction, uint8_t truth) {
    volume.prediction[volume.index(1, 2, w)] = prediction;
    volume.truth[volume.index(1, 2, w)] = truth;
  };
  set(1, 1, 0);
  set(2, 0, 1);
  set(3, 2, 2);
  set(4, 2, 1);
  return volume;
}

SliceView plain_view(const LabelledVolume& volume) {
  return {SliceAxis::d, "d", false, false, volume.extent.d, volume.extent.h, volume.extent.w, 2, 1};
}

TEST(Overlay, codes_say_who_is_right) {
  EXPECT_EQ(compare_labels(0, 0), Agreement::background);
  EXPECT_EQ(compare_labels(2, 0), Agreement::prediction_only);
  EXPECT_EQ(compare_labels(0, 2), Agreement::truth_only);
  EXPECT_EQ(compare_labels(2, 2), Agreement::agreement);
  EXPECT_EQ(compare_labels(2, 1), Agreement::other_label);
  EXPECT_EQ(compare_labels(2, kIgnoreTarget), Agreement::background);
}

TEST(Overlay, prediction_is_red_truth_blue_agreement_purple) {
  const auto palette = overlay_palette();
  ASSERT_EQ(palette.size(), size_t{5} * kGreyLevels);
  const auto colour = [&](Agreement state, int level) {
    return palette[static_cast<size_t>(state) * kGreyLevels + static_cast<size_t>(level)];
  };
  for (const int level : {0, kGreyLevels / 2, kGreyLevels - 1}) {
    const auto grey = colour(Agreement::background, level);
    EXPECT_EQ(grey[0], grey[1]);
    EXPECT_EQ(grey[0], grey[2]);
    const auto red = colour(Agreement::prediction_only, level);
    EXPECT_GT(red[0], red[1] + 60);
    EXPECT_GT(red[0], red[2] + 60);
    const auto blue = colour(Agreement::truth_only, level);
    EXPECT_GT(blue[2], blue[0] + 60);
    EXPECT_GT(blue[2], blue[1] + 60);
    const auto purple = colour(Agreement::agreement, level);
    EXPECT_GT(purple[0], purple[1] + 40);
    EXPECT_GT(purple[2], purple[1] + 60);
    const auto amber = colour(Agreement::other_label, level);
    EXPECT_GT(amber[0], amber[2] + 60);
    EXPECT_GT(amber[1], amber[2] + 60);
  }
}

TEST(Overlay, slices_show_each_voxel_where_it_is_with_square_pixels) {
  const LabelledVolume volume = sample_volume();
  const IndexedImage image = render_slice(volume, {0, 10}, plain_view(volume), 1, 2.0);
  EXPECT_EQ(image.width, 10);   // 5 voxels of 1 mm, 2 pixels a mm
  EXPECT_EQ(image.height, 16);  // 4 voxels of 2 mm
  const auto state = [&](int64_t row, int64_t column) {
    return image.pixels[static_cast<size_t>(row * image.width + column)] / kGreyLevels;
  };
  for (int64_t w = 0; w < 5; ++w) {
    EXPECT_EQ(state(8, 2 * w), w) << "voxel (1, 2, w) is of Agreement w";
    EXPECT_EQ(state(11, 2 * w + 1), w);
    EXPECT_EQ(state(7, 2 * w), 0);
    EXPECT_EQ(state(12, 2 * w), 0);
  }
}

TEST(Overlay, flipped_views_are_mirrored) {
  const LabelledVolume volume = sample_volume();
  SliceView view = plain_view(volume);
  const IndexedImage plain = render_slice(volume, {0, 10}, view, 1, 1.0);
  view.flip_rows = true;
  view.flip_columns = true;
  const IndexedImage flipped = render_slice(volume, {0, 10}, view, 1, 1.0);
  EXPECT_EQ(std::vector<uint8_t>(plain.pixels.rbegin(), plain.pixels.rend()), flipped.pixels);
}

TEST(Overlay, grey_is_interpolated_between_voxels_and_clipped_to_the_window) {
  LabelledVolume volume;
  volume.extent = {1, 1, 2};
  volume.geometry = geometry_from_spacing({1, 1, 1});
  volume.image = {-5, 20};
  volume.truth = {0, 0};
  volume.prediction = {0, 0};
  const SliceView view{SliceAxis::d, "d", false, false, 1, 1, 2, 1, 1};
  const IndexedImage image = render_slice(volume, {0, 10}, view, 0, 4.0);
  ASSERT_EQ(image.width, 8);
  EXPECT_EQ(image.pixels[0], 0);
  EXPECT_EQ(image.pixels[7], kGreyLevels - 1);
  for (size_t i = 1; i < 8; ++i) EXPECT_GE(image.pixels[i], image.pixels[i - 1]);
  // Pixel 3 has its centre at 1.75 / 2 voxels: 0.375 of the way from -5 to 20 is 4.375.
  EXPECT_EQ(image.pixels[3], std::lround(0.4375 * (kGreyLevels - 1)));
}

TEST(Overlay, the_window_leaves_a_large_dark_background_out) {
  LabelledVolume volume;
  volume.extent = {10, 10, 10};
  volume.image.assign(1000, 0.0F);
  for (size_t i = 0; i < 300; ++i) volume.image[i] = 100.0F + static_cast<float>(i);
  const GreyWindow window = percentile_window(volume);
  EXPECT_EQ(window.black, 0);
  EXPECT_NEAR(window.white, 100 + 0.995 * 299, 1);
}

TEST(Overlay, the_fullest_slice_is_that_of_the_truth_or_else_of_the_prediction) {
  const LabelledVolume volume = sample_volume();
  const auto views = slice_views(volume);
  EXPECT_EQ(fullest_slice(volume, views[0]), 1);
  EXPECT_EQ(fullest_slice(volume, views[1]), 2);
  LabelledVolume wrong = volume;
  for (int64_t w = 0; w < 5; ++w) wrong.prediction[wrong.index(2, 0, w)] = 1;
  EXPECT_EQ(fullest_slice(wrong, views[0]), 1);
  wrong.truth.assign(60, 0);
  EXPECT_EQ(fullest_slice(wrong, views[0]), 2);
  LabelledVolume empty = volume;
  empty.truth.assign(60, 0);
  empty.prediction.assign(60, 0);
  EXPECT_EQ(fullest_slice(empty, views[0]), 1);
  EXPECT_EQ(fullest_slice(empty, views[2]), 2);
}

TEST(Overlay, views_of_oriented_volumes_are_named_and_turned) {
  LabelledVolume volume = sample_volume();  // geometry_from_spacing: x right, y front, z up
  const auto views = slice_views(volume);
  EXPECT_EQ(views[0].name, "axial");
  EXPECT_EQ(views[1].name, "coronal");
  EXPECT_EQ(views[2].name, "sagittal");
  EXPECT_TRUE(views[0].flip_rows) << "the front is up";
  EXPECT_TRUE(views[0].flip_columns) << "the patient's right is on the left";
  EXPECT_TRUE(views[1].flip_rows) << "the top is up";
  EXPECT_EQ(views[1].row_mm, 3);
  EXPECT_EQ(views[1].column_mm, 1);
  volume.geometry.nifti.sform_code = 0;
  volume.geometry.nifti.qform_code = 0;
  EXPECT_EQ(slice_views(volume)[0].name, "slices along d");
  EXPECT_FALSE(slice_views(volume)[0].flip_rows);
}

TEST(Overlay, pictures_are_joined_on_black_with_a_gap) {
  const LabelledVolume volume = sample_volume();
  const IndexedImage one = render_slice(volume, {0, 10}, plain_view(volume), 1, 1.0);
  IndexedImage low = one;
  low.height = 2;
  low.pixels.resize(static_cast<size_t>(2 * low.width));
  const IndexedImage both = join_pictures({one, low});
  EXPECT_EQ(both.width, 5 + 8 + 5);
  EXPECT_EQ(both.height, 8);
  EXPECT_EQ(both.pixels[0], one.pixels[0]);
  EXPECT_EQ(both.pixels[6], 0);
  EXPECT_EQ(both.pixels[static_cast<size_t>(3 * 18 + 13)], low.pixels[0]);
}

TEST(CaseView, chosen_slices_hold_the_key_and_are_evenly_spaced) {
  EXPECT_EQ(chosen_slices(5, 3, 24), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(chosen_slices(10, 7, 5), (std::vector<int64_t>{1, 3, 5, 7, 9}));
  EXPECT_EQ(chosen_slices(10, 7, 1), (std::vector<int64_t>{7}));
  for (const int64_t count : {2, 3, 7, 24}) {
    for (int64_t key = 0; key < 155; key += 11) {
      const std::vector<int64_t> chosen = chosen_slices(155, key, count);
      EXPECT_LE(static_cast<int64_t>(chosen.size()), count);
      EXPECT_NE(std::find(chosen.begin(), chosen.end(), key), chosen.end());
    }
  }
}

TEST(CaseView, names_are_escaped_sliders_labelled_and_slices_kept_within_the_budget) {
  SampleCase sample;
  sample.scores.id = "case <7>";
  sample.scores.mean_dice = 0.5;
  sample.which = "worst";
  sample.channel_name = "T1 & T2";
  sample.volume = sample_volume();
  const std::string view = render_case_view(sample, {"case-0", size_t{1} << 20, "report/x.png"});
  EXPECT_EQ(testing::markup_error(view), "");
  EXPECT_EQ(view.find("<7>"), std::string::npos);
  EXPECT_NE(view.find("case &lt;7&gt;, axial view: slice"), std::string::npos);
  EXPECT_NE(view.find("T1 &amp; T2"), std::string::npos);
  EXPECT_NE(view.find("Dice 0.500"), std::string::npos);
  const std::string small = render_case_view(sample, {"case-0", 1, "report/x.png"});
  EXPECT_LT(small.size(), view.size());
  EXPECT_NE(small.find("slice 2 of 3"), std::string::npos) << "the fullest slice stays";
}

}  // namespace
}  // namespace wholemount
