#include "wholemount/exec/gradient_fold.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

// Written independently of the class: groups as strings, then the tree by recursion. A tree over
// groups [first, first + count) splits after the largest power of two below count.
std::string group_sum(int64_t group, int64_t groups, int64_t batch) {
  std::string text;
  for (int64_t s = 0; s < batch; ++s) {
    if (s < group * batch / groups || s >= (group + 1) * batch / groups) {
      continue;
    }
    text = text.empty() ? std::to_string(s) : "(" + text + "+" + std::to_string(s) + ")";
  }
  return text;
}

std::string tree(int64_t first, int64_t count, int64_t groups, int64_t batch) {
  if (count == 1) {
    return group_sum(first, groups, batch);
  }
  const auto left = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(count - 1)));
  return "[" + tree(first, left, groups, batch) + "+" +
         tree(first + left, count - left, groups, batch) + "]";
}

std::string run_symbolically(const GradientFold& fold) {
  std::vector<std::string> slots(static_cast<size_t>(fold.num_slots()));
  for (int64_t s = 0; s < fold.batch(); ++s) {
    const GradientFold::Sample& sample = fold.sample(s);
    std::string& slot = slots.at(static_cast<size_t>(sample.slot));
    if (sample.accumulate) {
      EXPECT_FALSE(slot.empty()) << "accumulates into a slot that holds nothing";
      slot = "(" + slot + "+" + std::to_string(s) + ")";
    } else {
      EXPECT_TRUE(slot.empty()) << "overwrites a partial sum that is still wanted";
      slot = std::to_string(s);
    }
    for (const GradientFold::Merge& merge : sample.merges) {
      std::string& source = slots.at(static_cast<size_t>(merge.source));
      std::string& destination = slots.at(static_cast<size_t>(merge.destination));
      EXPECT_FALSE(source.empty());
      EXPECT_FALSE(destination.empty());
      destination = "[" + destination + "+" + source + "]";
      source.clear();
    }
  }
  for (size_t slot = 1; slot < slots.size(); ++slot) {
    EXPECT_TRUE(slots[slot].empty()) << "a partial sum was left behind in slot " << slot;
  }
  return slots[0];
}

TEST(GradientFold, sum_has_the_specified_shape_for_random_batches_and_groups) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 400; ++trial) {
    const int64_t batch = 1 + static_cast<int64_t>(random() % 70);
    const int64_t sum_groups = 1 + static_cast<int64_t>(random() % 40);
    const GradientFold fold(batch, sum_groups);
    const int64_t groups = std::min(batch, sum_groups);
    ASSERT_EQ(fold.num_groups(), groups);
    ASSERT_EQ(run_symbolically(fold), tree(0, groups, groups, batch))
        << "batch " << batch << " sum_groups " << sum_groups;
    ASSERT_EQ(fold.num_slots(), std::bit_width(static_cast<uint64_t>(groups)));
  }
}

TEST(GradientFold, seven_groups_join_as_documented) {
  EXPECT_EQ(run_symbolically(GradientFold(7, 8)), "[[[0+1]+[2+3]]+[[4+5]+6]]");
}

TEST(GradientFold, one_group_is_a_left_fold_in_one_slot) {
  const GradientFold fold(4, 1);
  EXPECT_EQ(fold.num_slots(), 1);
  EXPECT_EQ(run_symbolically(fold), "(((0+1)+2)+3)");
}

TEST(GradientFold, batch_16_in_8_groups_needs_4_slots) {
  const GradientFold fold(16, 8);
  EXPECT_EQ(fold.num_slots(), 4);
  EXPECT_EQ(fold.group_begin(0), 0);
  EXPECT_EQ(fold.group_begin(3), 6);
  EXPECT_EQ(fold.group_begin(8), 16);
}

TEST(GradientFold, empty_batch_is_refused) {
  EXPECT_THROW(GradientFold(0, 8), ConfigError);
  EXPECT_THROW(GradientFold(8, 0), ConfigError);
}

}  // namespace
}  // namespace wholemount
