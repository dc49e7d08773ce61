#include "wholemount/data/split.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

TEST(Split, brain_tumour_cases_divide_as_in_paper_a) {
  const Split split = make_split(484, {});
  EXPECT_EQ(split.train.size(), 411U);
  EXPECT_EQ(split.validation.size(), 36U);
  EXPECT_EQ(split.test.size(), 37U);
}

TEST(Split, every_case_is_in_exactly_one_part) {
  const Split split = make_split(97, {3, 0.5, 0.3, 0.2});
  std::vector<int64_t> all;
  for (const auto* part : {&split.train, &split.validation, &split.test}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  std::sort(all.begin(), all.end());
  std::vector<int64_t> expected(97);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

TEST(Split, depends_on_the_seed_alone) {
  const SplitSpec one{1, 0.8, 0.1, 0.1};
  EXPECT_EQ(make_split(50, one).train, make_split(50, one).train);
  EXPECT_NE(make_split(50, one).train, make_split(50, {2, 0.8, 0.1, 0.1}).train);
}

TEST(Split, empty_parts_and_bad_fractions_are_configuration_errors) {
  WM_EXPECT_ERROR(make_split(5, {1, 0.1, 0.9, 0.0}), ConfigError, "empty split \"train");
  WM_EXPECT_ERROR(make_split(7, {1, 0.85, 0.002, 0.14}), ConfigError, "empty split \"validation\"");
  WM_EXPECT_ERROR(make_split(7, {1, 0.8, 0.3, 0.0}), ConfigError, "more than 1");
  WM_EXPECT_ERROR(make_split(7, {1, -0.1, 0.3, 0.0}), ConfigError, "between 0 and 1");
  const Split split = make_split(7, {1, 1.0, 0.0, 0.0});
  EXPECT_EQ(split.train.size(), 7U);
  EXPECT_TRUE(split.test.empty());
}

TEST(Split, epochs_are_permutations_that_differ_and_repeat) {
  const std::vector<int64_t> cases{4, 8, 15, 16, 23, 42, 5, 6, 7, 9};
  const auto first = shuffle_for_epoch(cases, 1, 0);
  EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), cases.begin()));
  EXPECT_EQ(first, shuffle_for_epoch(cases, 1, 0));
  EXPECT_NE(first, shuffle_for_epoch(cases, 1, 1));
  EXPECT_NE(first, shuffle_for_epoch(cases, 2, 0));
}

TEST(Split, a_shuffle_brings_every_case_everywhere) {
  // 400 epochs of 4 cases: each case is expected 100 times in front; 8.7 is the binomial standard
  // deviation, so 60 to 140 is beyond four of them.
  std::vector<int> in_front(4);
  for (uint64_t epoch = 0; epoch < 400; ++epoch) {
    ++in_front[static_cast<size_t>(shuffle_for_epoch({0, 1, 2, 3}, 9, epoch)[0])];
  }
  for (const int count : in_front) {
    EXPECT_GT(count, 60);
    EXPECT_LT(count, 140);
  }
}

}  // namespace
}  // namespace wholemount
