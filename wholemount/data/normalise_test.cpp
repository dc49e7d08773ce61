#include "wholemount/data/normalise.h"

#include <algorithm>
#include <cmath>

#include "wholemount/base/rng.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

StridedBox line(int64_t count) { return {{1, 1, count}, 0, count, count, 1}; }

TEST(Normalise, zscore_gives_mean_zero_and_deviation_one) {
  std::vector<float> values{1, 2, 3, 4, 5, 9};
  const IntensityScale scale = normalise({NormaliseKind::zscore}, values.data(), line(6));
  EXPECT_DOUBLE_EQ(scale.shift, 4.0);
  EXPECT_DOUBLE_EQ(scale.scale, 1.0 / std::sqrt(40.0 / 6.0));
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  // Six values of size <= 2 rounded to float32: 6 * 2 * 2^-24.
  EXPECT_NEAR(sum, 0.0, 12.0 / 16777216);
  EXPECT_NEAR(squares / 6, 1.0, 24.0 / 16777216);
}

TEST(Normalise, nonzero_zscore_leaves_zero_as_zero_and_uses_the_rest) {
  std::vector<float> values{0, 2, 0, 4, 0};
  const IntensityScale scale = normalise({NormaliseKind::zscore_nonzero}, values.data(), line(5));
  EXPECT_EQ(values, (std::vector<float>{0, -1, 0, 1, 0}));
  EXPECT_DOUBLE_EQ(scale.shift, 3.0);
  std::vector<float> zeros(3);
  normalise({NormaliseKind::zscore_nonzero}, zeros.data(), line(3));
  EXPECT_EQ(zeros, std::vector<float>(3));
}

TEST(Normalise, fitted_kinds_use_the_mean_and_deviation_they_are_given) {
  NormaliseSpec spec{NormaliseKind::zscore_controls};
  spec.mean = 3.0;
  spec.deviation = 2.0;
  std::vector<float> values{3, 5, 100};
  normalise(spec, values.data(), line(3));
  EXPECT_EQ(values, (std::vector<float>{0, 1, 48.5F}));
  spec.kind = NormaliseKind::anscombe_controls;
  // 2 sqrt(x + 3/8): 1 at -1/8, 3 at 15/8, 5 at 47/8; below -3/8 nothing is left of it.
  values = {-0.125F, 1.875F, 5.875F, -7.0F};
  normalise(spec, values.data(), line(4));
  EXPECT_EQ(values, (std::vector<float>{-1, 0, 1, -1.5F}));
}

TEST(Normalise, statistics_are_exact_far_from_zero) {
  // In float32 sums of squares of 1e6 + {0, 1} would lose the deviation of 0.5.
  std::vector<float> values(10000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1e6F + static_cast<float>(i % 2);
  normalise({NormaliseKind::zscore}, values.data(), line(10000));
  EXPECT_EQ(values[0], -1.0F);
  EXPECT_EQ(values[1], 1.0F);
}

TEST(Normalise, percentiles_equal_the_sorted_definition) {
  CounterRng rng(1, 0, 0, "test");
  std::vector<float> values(1003);
  for (float& value : values) value = static_cast<float>(rng.next_normal());
  values[17] = -0.0F;
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double percent) {
    const double position = percent / 100 * 1002;
    const auto below = static_cast<size_t>(position);
    const double low = static_cast<double>(sorted[below]);
    return low + (static_cast<double>(sorted[below + 1]) - low) * (position - std::floor(position));
  };
  auto result = values;
  const IntensityScale scale =
      normalise({NormaliseKind::percentile, 2.5, 90.0}, result.data(), line(1003));
  EXPECT_DOUBLE_EQ(scale.lowest, at(2.5));
  EXPECT_DOUBLE_EQ(scale.highest, at(90.0));
  EXPECT_EQ(*std::min_element(result.begin(), result.end()), 0.0F);
  EXPECT_EQ(*std::max_element(result.begin(), result.end()), 1.0F);
  WM_EXPECT_ERROR(normalise({NormaliseKind::percentile, 50, 50}, result.data(), line(3)),
                  ConfigError, "percentiles");
}

TEST(Normalise, minmax_spans_zero_to_one_and_none_changes_nothing) {
  std::vector<float> values{-2, 0, 6};
  normalise({NormaliseKind::none}, values.data(), line(3));
  EXPECT_EQ(values, (std::vector<float>{-2, 0, 6}));
  normalise({NormaliseKind::minmax}, values.data(), line(3));
  EXPECT_EQ(values, (std::vector<float>{0, 0.25F, 1}));
}

TEST(Normalise, constant_channels_become_zero) {
  for (const NormaliseKind kind : {NormaliseKind::zscore, NormaliseKind::zscore_nonzero,
                                   NormaliseKind::percentile, NormaliseKind::minmax}) {
    std::vector<float> values(4, 5.0F);
    normalise({kind}, values.data(), line(4));
    EXPECT_EQ(values, std::vector<float>(4)) << normalise_name(kind);
  }
}

TEST(Normalise, only_the_box_is_touched) {
  std::vector<float> values{9, 1, 9, 3, 9};
  normalise({NormaliseKind::zscore}, values.data(), {{1, 1, 2}, 1, 0, 0, 2});
  EXPECT_EQ(values, (std::vector<float>{9, -1, 9, 1, 9}));
}

TEST(Normalise, names_are_read_and_mistyped_ones_refused) {
  EXPECT_EQ(parse_normalise("zscore-nonzero"), NormaliseKind::zscore_nonzero);
  EXPECT_EQ(parse_normalise("minmax"), NormaliseKind::minmax);
  WM_EXPECT_ERROR(parse_normalise("zscroe"), ConfigError, "zscore");
}

TEST(Normalise, full_scale_divides_by_the_largest_number_of_the_type) {
  std::vector<float> values{0, 255, 51};
  NormaliseSpec spec;
  spec.kind = NormaliseKind::full_scale;
  spec.full_scale = largest_number(VoxelType::u8);
  static_cast<void>(normalise(spec, values.data(), line(3)));
  EXPECT_EQ(values, (std::vector<float>{0.0F, 1.0F, 0.2F}));
  EXPECT_EQ(largest_number(VoxelType::u16), 65535.0);
  EXPECT_EQ(largest_number(VoxelType::i16), 32767.0);
  EXPECT_EQ(largest_number(VoxelType::f32), 1.0);
}

TEST(Normalise, anscombe_takes_the_root_before_the_zscore) {
  // 2 sqrt(x + 3/8) is 1, 3 and 5: mean 3, deviation sqrt(8/3).
  std::vector<float> values{-0.125F, 1.875F, 5.875F};
  NormaliseSpec spec;
  spec.kind = NormaliseKind::anscombe;
  static_cast<void>(normalise(spec, values.data(), line(3)));
  const float step = static_cast<float>(2.0 / std::sqrt(8.0 / 3.0));
  EXPECT_FLOAT_EQ(values[0], -step);
  EXPECT_NEAR(values[1], 0.0F, 1e-7F);  // float32 of the roots
  EXPECT_FLOAT_EQ(values[2], step);
}

}  // namespace
}  // namespace wholemount
