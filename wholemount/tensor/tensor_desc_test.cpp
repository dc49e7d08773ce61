#include "wholemount/tensor/tensor_desc.h"

#include <gtest/gtest.h>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

TEST(Extent3, volume_is_the_product_and_checked) {
  EXPECT_EQ(volume({144, 240, 240}), 8'294'400);
  EXPECT_THROW((void)volume({int64_t{1} << 31, int64_t{1} << 31, 4}), ShapeError);
}

TEST(Extent3, is_printed_as_d_h_w) { EXPECT_EQ(to_string(Extent3{144, 240, 120}), "144x240x120"); }

TEST(Box3, box_without_voxels_is_empty_and_lies_in_every_box) {
  const Box3 empty{{2, 0, 0}, {2, 5, 5}};
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(volume(empty.extent()), 0);
  EXPECT_TRUE(contains(whole_box({1, 1, 1}), empty));
}

TEST(Box3, clip_keeps_the_part_inside) {
  const Box3 clipped = clip({{-1, 2, 3}, {9, 4, 99}}, {8, 8, 8});
  EXPECT_EQ(clipped, (Box3{{0, 2, 3}, {8, 4, 8}}));
  EXPECT_TRUE(contains(whole_box({8, 8, 8}), clipped));
  EXPECT_FALSE(contains(clipped, whole_box({8, 8, 8})));
}

TEST(TensorDesc, activations_are_blocked_unless_few_channels_or_special_types) {
  EXPECT_EQ(TensorDesc::activation(1, 5, {}).layout, Layout::blocked16);
  EXPECT_EQ(TensorDesc::activation(1, 4, {}).layout, Layout::plain);
  EXPECT_EQ(TensorDesc::activation(1, 32, {}, DType::bf16).layout, Layout::blocked16);
  EXPECT_EQ(TensorDesc::activation(1, 32, {}, DType::f64).layout, Layout::plain);
  EXPECT_EQ(TensorDesc::activation(1, 32, {}, DType::u8).layout, Layout::plain);
}

TEST(TensorDesc, blocked_storage_counts_padding_lanes) {
  const TensorDesc desc = TensorDesc::activation(2, 17, {3, 4, 5});
  EXPECT_EQ(desc.num_blocks(), 2);
  EXPECT_EQ(desc.num_elements(), 2 * 17 * 60);
  EXPECT_EQ(desc.storage_elements(), 2 * 32 * 60);
  EXPECT_EQ(desc.bytes(), size_t{2} * 32 * 60 * 4);
}

TEST(TensorDesc, plain_storage_has_no_padding) {
  const TensorDesc desc = TensorDesc::plain(2, 17, {3, 4, 5}, DType::bf16);
  EXPECT_EQ(desc.storage_elements(), desc.num_elements());
  EXPECT_EQ(desc.bytes(), size_t{2} * 17 * 60 * 2);
}

TEST(TensorDesc, sizes_beyond_64_bits_are_shape_errors) {
  const TensorDesc desc = TensorDesc::plain(int64_t{1} << 30, 1 << 20, {1, 1 << 10, 1 << 10});
  EXPECT_THROW((void)desc.num_elements(), ShapeError);
  const TensorDesc bytes_only = TensorDesc::plain(1, 1, {1, 1, int64_t{1} << 62}, DType::f64);
  EXPECT_EQ(bytes_only.num_elements(), int64_t{1} << 62);
  EXPECT_THROW((void)bytes_only.bytes(), ShapeError);
}

TEST(TensorDesc, every_type_has_a_name_and_a_size) {
  EXPECT_EQ(dtype_bytes(DType::f32), 4);
  EXPECT_EQ(dtype_bytes(DType::f64), 8);
  EXPECT_EQ(dtype_bytes(DType::bf16), 2);
  EXPECT_EQ(dtype_bytes(DType::u8), 1);
  EXPECT_EQ(to_string(TensorDesc::activation(1, 32, {96, 96, 64}, DType::bf16)),
            "n1 c32 96x96x64 bf16 blocked16");
  EXPECT_EQ(to_string(TensorDesc::plain(2, 1, {1, 4, 4}, DType::u8)), "n2 c1 1x4x4 u8");
}

TEST(TensorDesc, statistics_rows_are_padded_to_whole_blocks) {
  const TensorDesc desc = statistics_desc(20);
  EXPECT_EQ(desc, TensorDesc::plain(1, StatisticsRow::kNumRows, {1, 1, 32}));
}

}  // namespace
}  // namespace wholemount
