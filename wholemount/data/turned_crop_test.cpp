#include "wholemount/data/turned_crop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace wholemount {
namespace {

constexpr int64_t kSide = 9;

std::vector<float> turned(const std::vector<float>& field, const Extent3& extent, int turn,
                          int64_t side) {
  std::vector<float> values(static_cast<size_t>(side * side));
  turned_crop(field, extent, turn, values.data(), {{1, side, side}, 0, 0, side, 1});
  return values;
}

TEST(TurnedCrop, quarter_turns_move_pixels_and_no_turn_is_the_centre_crop) {
  const Extent3 extent{1, kSide, kSide + 4};
  std::vector<float> field(static_cast<size_t>(volume(extent)));
  for (size_t i = 0; i < field.size(); ++i) field[i] = static_cast<float>(i * i % 101);
  const auto at = [&](int64_t h, int64_t w) {
    return field[static_cast<size_t>(h * extent.w + w)];
  };
  const std::vector<float> crop = turned(field, extent, 0, 5);
  const std::vector<float> quarter = turned(field, extent, 6, 5);
  const std::vector<float> half = turned(field, extent, 12, 5);
  for (int64_t h = 0; h < 5; ++h) {
    for (int64_t w = 0; w < 5; ++w) {
      const auto i = static_cast<size_t>(h * 5 + w);
      EXPECT_EQ(crop[i], at(h + 2, w + 4));
      EXPECT_EQ(half[i], at(6 - h, 8 - w));
      EXPECT_EQ(quarter[i], at(4 + (w - 2), 6 - (h - 2)));
    }
  }
}

TEST(TurnedCrop, any_turn_of_a_linear_field_is_the_turned_linear_field) {
  const Extent3 extent{1, 21, 21};
  std::vector<float> field(21 * 21);
  for (int64_t i = 0; i < 21 * 21; ++i) {
    field[static_cast<size_t>(i)] = static_cast<float>(3 * (i / 21 - 10) + 5 * (i % 21 - 10));
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    const double angle = turn * std::acos(-1.0) / 12;
    // 13 <= 21 / sqrt(2): no corner leaves the field.
    const std::vector<float> values = turned(field, extent, turn, 13);
    for (int64_t i = 0; i < 13 * 13; ++i) {
      const double h = static_cast<double>(i / 13 - 6);
      const double w = static_cast<double>(i % 13 - 6);
      const double wanted = 3 * (std::cos(angle) * h + std::sin(angle) * w) +
                            5 * (std::cos(angle) * w - std::sin(angle) * h);
      // Rounded once to float32 of numbers below 128.
      EXPECT_NEAR(static_cast<double>(values[static_cast<size_t>(i)]), wanted, 1e-5);
    }
  }
}

TEST(TurnedCrop, outside_the_field_is_zero) {
  const std::vector<float> field(4, 1.0F);
  const std::vector<float> values = turned(field, {1, 2, 2}, 0, 6);
  EXPECT_EQ(values[0], 0.0F);
  EXPECT_EQ(values[14], 1.0F);
}

TEST(DrawTurn, is_a_function_of_seed_epoch_and_case_and_reaches_all_turns) {
  std::set<int> seen;
  for (uint64_t i = 0; i < 400; ++i) {
    EXPECT_EQ(draw_turn(1, 2, i), draw_turn(1, 2, i));
    seen.insert(draw_turn(1, 2, i));
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kTurns));
}

}  // namespace
}  // namespace wholemount
