#include "wholemount/data/placement.h"

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

TEST(Placement, whole_volumes_are_padded_around_the_centre) {
  const Placement placement = place_volume({155, 240, 237}, {std::nullopt, {16, 16, 16}});
  EXPECT_EQ(placement.padded, (Extent3{160, 240, 240}));
  EXPECT_EQ(placement.source, whole_box({155, 240, 237}));
  EXPECT_EQ(placement.valid, (Box3{{2, 0, 1}, {157, 240, 238}}));
}

TEST(Placement, a_fixed_shape_crops_and_pads_per_axis) {
  const Placement placement = place_volume({155, 100, 240}, {Extent3{144, 112, 240}, {16, 16, 16}});
  EXPECT_EQ(placement.padded, (Extent3{144, 112, 240}));
  EXPECT_EQ(placement.source, (Box3{{5, 0, 0}, {149, 100, 240}}));
  EXPECT_EQ(placement.valid, (Box3{{0, 6, 0}, {144, 106, 240}}));
}

TEST(Placement, source_and_valid_always_have_one_extent) {
  for (int64_t size = 1; size < 40; ++size) {
    for (const int64_t shape : {4, 8, 12, 40}) {
      const Placement placement = place_volume({size, 3, size}, {Extent3{shape, 4, 8}, {4, 4, 4}});
      EXPECT_EQ(placement.source.extent(), placement.valid.extent());
      EXPECT_TRUE(contains(whole_box({size, 3, size}), placement.source));
      EXPECT_TRUE(contains(whole_box(placement.padded), placement.valid));
    }
  }
}

TEST(Placement, a_shape_the_net_cannot_take_is_refused_with_the_next_that_fits) {
  WM_EXPECT_ERROR(place_volume({9, 9, 9}, {Extent3{155, 240, 240}, {16, 16, 16}}), ConfigError,
                  "160x240x240");
  WM_EXPECT_ERROR(place_volume({9, 9, 9}, {Extent3{0, 1, 1}, {1, 1, 1}}), ConfigError, "1x1x1");
}

}  // namespace
}  // namespace wholemount
