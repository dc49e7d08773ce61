#include "wholemount/data/value_histogram.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace wholemount {
namespace {

constexpr std::array<double, 5> kPercents{0, 25, 50, 75, 100};
using Values = std::vector<double>;

TEST(ValueHistogram, whole_numbers_to_4096_are_exact_on_both_sides_of_0) {
  ValueHistogram histogram;
  for (int value = -4096; value <= 4096; ++value) histogram.add(static_cast<float>(value));
  EXPECT_EQ(histogram.count(), 8193);
  EXPECT_EQ(histogram.zeros(), 1);
  // Rank ceil(0.25 * 8193) = 2049, counted from -4096.
  EXPECT_EQ(histogram.percentiles(kPercents, false), (Values{-4096, -2048, 0, 2048, 4096}));
  // Of 8192 values without 0: ranks 1, 2048, 4096, 6144, 8192.
  EXPECT_EQ(histogram.percentiles(kPercents, true), (Values{-4096, -2049, -1, 2048, 4096}));
}

TEST(ValueHistogram, other_values_are_within_a_part_in_2048_of_theirs) {
  ValueHistogram histogram;
  for (const float value : {-3.14159e20F, 1.23456e-30F, 2.71828F}) histogram.add(value);
  const Values found = histogram.percentiles(std::array<double, 3>{1, 50, 100}, false);
  const Values wanted{-3.14159e20, 1.23456e-30, 2.71828};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LE(std::abs(found[i] - wanted[i]), std::abs(wanted[i]) / 2048) << i;
    EXPECT_LE(std::abs(found[i]), std::abs(wanted[i])) << i;
  }
}

TEST(ValueHistogram, merging_equals_adding_everything_to_one) {
  ValueHistogram all;
  ValueHistogram first;
  ValueHistogram second;
  for (int i = 0; i < 1000; ++i) {
    const auto value = static_cast<float>(std::sin(i));
    all.add(value);
    (i % 3 == 0 ? first : second).add(value);
  }
  first.merge(second);
  EXPECT_EQ(first.percentiles(kPercents, false), all.percentiles(kPercents, false));
}

TEST(ValueHistogram, zeros_of_both_signs_and_no_values_at_all) {
  ValueHistogram histogram;
  EXPECT_TRUE(histogram.percentiles(kPercents, false).empty());
  histogram.add(-0.0F);
  histogram.add(0.0F);
  histogram.add(std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(histogram.zeros(), 3);
  EXPECT_EQ(histogram.percentiles(kPercents, false), Values(5, 0.0));
  EXPECT_TRUE(histogram.percentiles(kPercents, true).empty());
}

}  // namespace
}  // namespace wholemount
