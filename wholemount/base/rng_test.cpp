#include "wholemount/base/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

namespace wholemount {
namespace {

using Block = std::array<uint32_t, 4>;

// Known answers published with the paper (Random123, kat_vectors, philox4x32 10).
TEST(Philox, block_of_zeros_equals_published_answer) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Philox, block_of_ones_equals_published_answer) {
  EXPECT_EQ(
      philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox, block_of_digits_of_pi_equals_published_answer) {
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRng, draws_are_the_blocks_in_order) {
  CounterRng rng(1, 2, 3, "shuffle");
  for (uint64_t position = 0; position < 3; ++position) {
    const Block block = rng.block(position);
    for (const uint32_t word : block) EXPECT_EQ(rng.next_u32(), word);
  }
}

TEST(CounterRng, every_part_of_the_name_changes_the_stream) {
  std::set<uint64_t> first_draws;
  for (const uint64_t seed : {0U, 1U}) {
    for (const uint64_t epoch : {0U, 1U}) {
      for (const uint64_t case_index : {0U, 1U}) {
        for (const char* purpose : {"flip", "rot90"}) {
          first_draws.insert(CounterRng(seed, epoch, case_index, purpose).next_u64());
        }
      }
    }
  }
  EXPECT_EQ(first_draws.size(), 16U);
}

// The values belong to the file format: a resumed run on a newer build must draw the same.
TEST(CounterRng, stream_is_the_same_in_every_build) {
  CounterRng rng(816, 1, 2, "flip");
  EXPECT_EQ(rng.next_u64(), 0x1fe429f1371a74d0U);
  EXPECT_EQ(rng.next_u64(), 0x8d4fc1200b4d7b8aU);
}

TEST(CounterRng, uniform_draws_lie_in_the_unit_interval_with_the_right_mean) {
  CounterRng rng(7, 0, 0, "uniform");
  constexpr int kDraws = 20000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.next_double();
    const float single = rng.next_float();
    ASSERT_TRUE(value >= 0.0 && value < 1.0);
    ASSERT_TRUE(single >= 0.0F && single < 1.0F);
    sum += value;
  }
  // Six standard errors of a mean of uniform draws: sqrt(1/12 / draws).
  EXPECT_NEAR(sum / kDraws, 0.5, 6 * std::sqrt(1.0 / 12.0 / kDraws));
}

TEST(CounterRng, normal_draws_have_mean_zero_and_variance_one) {
  CounterRng rng(7, 0, 0, "normal");
  constexpr int kDraws = 20000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.next_normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
  }
  // Six standard errors: 1/sqrt(n) for the mean, sqrt(2/n) for the variance of normal draws.
  EXPECT_NEAR(sum / kDraws, 0.0, 6 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0, 6 * std::sqrt(2.0 / kDraws));
}

TEST(CounterRng, bounded_draws_hit_every_value_equally_often) {
  CounterRng rng(7, 0, 0, "below");
  constexpr uint64_t kBound = 7;
  constexpr int kDraws = 14000;
  std::vector<int> counts(kBound);
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t value = rng.next_below(kBound);
    ASSERT_LT(value, kBound);
    ++counts[value];
  }
  // Six standard deviations of a binomial count with p = 1/7.
  const double expected = static_cast<double>(kDraws) / kBound;
  for (const int count : counts) EXPECT_NEAR(count, expected, 6 * std::sqrt(expected * 6 / 7));
}

TEST(CounterRng, bound_above_half_the_range_is_respected) {
  CounterRng rng(7, 0, 0, "wide");
  const uint64_t bound = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) EXPECT_LT(rng.next_below(bound), bound);
}

}  // namespace
}  // namespace wholemount
