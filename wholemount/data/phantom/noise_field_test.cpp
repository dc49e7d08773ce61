#include "wholemount/data/phantom/noise_field.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace wholemount::phantom {
namespace {

TEST(NoiseField, depends_on_seed_case_and_purpose_only) {
  const Vec3 p{3.3F, -7.1F, 12.9F};
  const float value = NoiseField(1, 2, "a", 10.0F).at(p);
  EXPECT_EQ(value, NoiseField(1, 2, "a", 10.0F).at(p));
  EXPECT_NE(value, NoiseField(2, 2, "a", 10.0F).at(p));
  EXPECT_NE(value, NoiseField(1, 3, "a", 10.0F).at(p));
  EXPECT_NE(value, NoiseField(1, 2, "b", 10.0F).at(p));
}

TEST(NoiseField, is_zero_at_lattice_points_and_continuous_across_cells) {
  const NoiseField noise(7, 0, "test", 5.0F);
  for (int i = -4; i < 5; ++i) {
    const float at = 5.0F * static_cast<float>(i);
    EXPECT_EQ(noise.at({at, -at, 10.0F}), 0.0F);
    // The slope is at most about 4 per wavelength: 2e-4 wavelengths apart, values differ by less
    // than 1e-3.
    const float below = noise.at({at - 5e-4F, 2.2F, 3.1F});
    const float above = noise.at({at + 5e-4F, 2.2F, 3.1F});
    EXPECT_NEAR(below, above, 1e-3F);
  }
}

TEST(NoiseField, has_mean_zero_and_the_stated_spread) {
  const NoiseField noise(3, 1, "test", 1.0F);
  double sum = 0;
  double squares = 0;
  float largest = 0;
  const int n = 40000;
  for (int i = 0; i < n; ++i) {
    const auto t = static_cast<float>(i);
    const float value = noise.at({0.7548F * t, 0.5698F * t - 900.0F, 0.3247F * t});
    sum += value;
    squares += value * value;
    largest = std::max(largest, std::fabs(value));
  }
  // Samples are nearly independent: the mean's standard error is 0.27 / sqrt(n) = 0.0014; four of
  // them. The spread's own error is far below the 10 % allowed.
  EXPECT_NEAR(sum / n, 0.0, 0.006);
  EXPECT_NEAR(std::sqrt(squares / n), 0.27, 0.027);
  EXPECT_LE(largest, 1.05F);
}

}  // namespace
}  // namespace wholemount::phantom
