#include "wholemount/data/spatial_move.h"

#include <set>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

// Moves a [1, 3, 3] or other box of counting values and returns what lies in memory.
std::vector<int> moved(const Extent3& extent, const SpatialMove& move) {
  const TensorView view = whole_view(TensorDesc::plain(1, 1, extent, DType::u8), nullptr);
  const StridedBox box = moved_box(view, 0, whole_box(extent), move);
  std::vector<int> memory(static_cast<size_t>(volume(extent)), -1);
  int value = 0;
  for_each_voxel(box, [&](int64_t position) { memory[static_cast<size_t>(position)] = value++; });
  return memory;
}

TEST(SpatialMove, mirrors_one_axis) {
  SpatialMove move;
  EXPECT_EQ(moved({1, 2, 3}, move), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  move.mirror(2);
  EXPECT_EQ(moved({1, 2, 3}, move), (std::vector<int>{2, 1, 0, 5, 4, 3}));
  move.mirror(1);
  EXPECT_EQ(moved({1, 2, 3}, move), (std::vector<int>{5, 4, 3, 2, 1, 0}));
}

TEST(SpatialMove, a_quarter_turn_is_a_rotation_of_order_four) {
  SpatialMove move;
  move.turn(1, 2);
  EXPECT_EQ(moved({1, 2, 2}, move), (std::vector<int>{1, 3, 0, 2}));
  move.turn(1, 2);
  EXPECT_EQ(moved({1, 2, 2}, move), (std::vector<int>{3, 2, 1, 0}));
  move.turn(1, 2);
  move.turn(1, 2);
  EXPECT_EQ(move, SpatialMove{});
}

TEST(SpatialMove, turns_after_mirrors_place_every_voxel_once) {
  SpatialMove move;
  move.mirror(0);
  move.turn(0, 2);
  move.mirror(1);
  move.turn(0, 2);
  move.turn(0, 2);
  const std::vector<int> memory = moved({3, 2, 3}, move);
  EXPECT_EQ(std::set<int>(memory.begin(), memory.end()).size(), 18U);
  EXPECT_EQ(*std::min_element(memory.begin(), memory.end()), 0);
}

TEST(SpatialMove, blocked_tensors_are_addressed_by_lane_and_block) {
  const TensorView view = whole_view(TensorDesc::activation(1, 20, {2, 2, 2}), nullptr);
  const StridedBox box = moved_box(view, 18, {{0, 0, 0}, {2, 2, 2}}, {});
  EXPECT_EQ(box.offset, 8 * 16 + 2);
  EXPECT_EQ(box.w_pitch, 16);
  EXPECT_EQ(box.d_pitch, 64);
}

TEST(SpatialMove, draws_are_a_pure_function_and_cover_all_moves) {
  const AugmentSpec spec{true, true};
  const Extent3 cube{8, 8, 8};
  std::set<std::pair<std::array<int, 3>, std::array<bool, 3>>> seen;
  for (uint64_t epoch = 0; epoch < 2000; ++epoch) {
    const SpatialMove move = draw_spatial_move(spec, cube, cube, 1, epoch, 5);
    EXPECT_EQ(move, draw_spatial_move(spec, cube, cube, 1, epoch, 5));
    seen.insert({move.source, move.reversed});
  }
  // One turn in one plane, then mirrors: identity and three swaps, each with 8 mirror patterns.
  EXPECT_EQ(seen.size(), 32U);
}

TEST(SpatialMove, axes_of_unequal_sides_never_swap) {
  const AugmentSpec spec{false, true};
  for (uint64_t epoch = 0; epoch < 200; ++epoch) {
    const SpatialMove slab = draw_spatial_move(spec, {4, 8, 8}, {4, 8, 8}, 1, epoch, 0);
    EXPECT_EQ(slab.source[0], 0);
    EXPECT_FALSE(slab.reversed[0]);
    // Equal sizes in unequal tensors: a swap would move the padding.
    EXPECT_EQ(draw_spatial_move(spec, {8, 8, 9}, {8, 16, 9}, 1, epoch, 0), SpatialMove{});
  }
}

TEST(SpatialMove, mirrors_have_probability_one_half) {
  // 3,000 draws: standard deviation 27, so 1,500 +- 140 is beyond five of them.
  int mirrored = 0;
  for (uint64_t epoch = 0; epoch < 1000; ++epoch) {
    const SpatialMove move = draw_spatial_move({true, false}, {1, 2, 3}, {1, 2, 3}, 3, epoch, 1);
    for (const bool flag : move.reversed) mirrored += flag ? 1 : 0;
  }
  EXPECT_NEAR(mirrored, 1500, 140);
}

TEST(SpatialMove, names_are_read_and_mistyped_ones_refused) {
  EXPECT_TRUE(parse_augment({"flip", "rot90"}).rot90);
  EXPECT_FALSE(parse_augment({}).flip);
  WM_EXPECT_ERROR(parse_augment({"flop"}), ConfigError, "flip");
}

}  // namespace
}  // namespace wholemount
