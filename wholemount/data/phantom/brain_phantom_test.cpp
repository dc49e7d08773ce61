#include "wholemount/data/phantom/brain_phantom.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "wholemount/data/phantom/phantom_test_support.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::best_threshold_dice;
using testing::render;
using testing::RenderedCase;

constexpr Extent3 kExtent{48, 64, 64};

std::array<int64_t, 4> count_labels(const RenderedCase& rendered) {
  std::array<int64_t, 4> counts{};
  for (const uint8_t label : rendered.labels) ++counts[label];
  return counts;
}

// Issue 4: at most 0.60 with the largest component kept.
TEST(BrainPhantom, no_threshold_solves_it) {
  EXPECT_LE(best_threshold_dice(816, 6, kExtent), 0.60);
}

TEST(BrainPhantom, every_case_has_all_labels_and_tumours_differ_in_size) {
  int64_t smallest = INT64_MAX;
  int64_t largest = 0;
  for (uint64_t i = 0; i < 6; ++i) {
    const RenderedCase rendered = render(5, i, kExtent);
    const auto counts = count_labels(rendered);
    EXPECT_GT(counts[1], 0) << i;
    EXPECT_GT(counts[2], 0) << i;
    EXPECT_GT(counts[3], 0) << i;
    const int64_t whole = counts[1] + counts[2] + counts[3];
    smallest = std::min(smallest, whole);
    largest = std::max(largest, whole);
  }
  EXPECT_GT(largest, 2 * smallest);
}

TEST(BrainPhantom, tumours_and_brain_have_believable_volumes) {
  const BrainPhantom phantom(9, 0, kExtent);
  const auto& spacing = phantom.header().geometry.spacing_mm;
  const double voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000;
  for (uint64_t i = 0; i < 4; ++i) {
    const RenderedCase rendered = render(9, i, kExtent);
    const auto counts = count_labels(rendered);
    const double tumour_ml = static_cast<double>(counts[1] + counts[2] + counts[3]) * voxel_ml;
    EXPECT_GT(tumour_ml, 5);
    EXPECT_LT(tumour_ml, 350);
    int64_t brain = 0;
    for (size_t v = 0; v < rendered.labels.size(); ++v) {
      if (rendered.image[v] != 0) ++brain;
      if (rendered.labels[v] != 0) {
        ASSERT_NE(rendered.image[v], 0) << "a tumour outside the brain";
      }
    }
    EXPECT_GT(static_cast<double>(brain) * voxel_ml, 1000);
    EXPECT_LT(static_cast<double>(brain) * voxel_ml, 2000);
  }
}

TEST(BrainPhantom, the_mask_is_the_same_in_all_channels_and_clear_of_the_border) {
  const RenderedCase rendered = render(3, 1, kExtent);
  const auto voxels = static_cast<size_t>(volume(kExtent));
  for (size_t v = 0; v < voxels; ++v) {
    const bool inside = rendered.image[v] != 0;
    for (size_t channel = 1; channel < 4; ++channel) {
      ASSERT_EQ(rendered.image[channel * voxels + v] != 0, inside);
    }
    const auto w = static_cast<int64_t>(v) % kExtent.w;
    const auto h = static_cast<int64_t>(v) / kExtent.w % kExtent.h;
    if (inside) {
      ASSERT_TRUE(w > 0 && w < kExtent.w - 1 && h > 0 && h < kExtent.h - 1);
    }
  }
}

TEST(BrainPhantom, a_case_is_a_function_of_seed_and_index) {
  const Extent3 extent{32, 32, 32};
  const RenderedCase one = render(11, 4, extent, 1);
  const RenderedCase again = render(11, 4, extent, 2);
  EXPECT_EQ(one.image, again.image);
  EXPECT_EQ(one.labels, again.labels);
  EXPECT_NE(one.image, render(11, 5, extent).image);
  EXPECT_NE(one.labels, render(11, 5, extent).labels);
  EXPECT_NE(one.image, render(12, 4, extent).image);
}

TEST(BrainPhantom, whole_scans_have_one_millimetre_voxels) {
  const BrainPhantom phantom(0, 0, {155, 240, 240});
  EXPECT_EQ(phantom.header().geometry.spacing_mm, (std::array<double, 3>{1, 1, 1}));
}

TEST(BrainPhantom, refuses_sides_too_small_for_a_head) {
  WM_EXPECT_ERROR(BrainPhantom(0, 0, {8, 64, 64}), ShapeError, "8x64x64");
}

}  // namespace
}  // namespace wholemount
