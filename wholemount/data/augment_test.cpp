// Warps and intensity changes (flips and quarter turns: spatial_move_test.cpp).

#include <algorithm>
#include <cmath>
#include <numeric>

#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/intensity_change.h"
#include "wholemount/data/load_case.h"
#include "wholemount/data/spatial_warp.h"

namespace wholemount {
namespace {

using testing::make_brain_dataset;
using testing::TemporaryFolder;

StridedBox dense_box(const Extent3& extent) {
  return {extent, 0, extent.h * extent.w, extent.w, 1};
}

AugmentSpec only(const char* name) { return parse_augment({name}); }

TEST(Augment, names_are_read_and_mistyped_ones_refused) {
  const AugmentSpec spec = parse_augment({"flip", "intensity-shift", "elastic"});
  EXPECT_TRUE(spec.flip && spec.intensity_shift && spec.elastic && spec.warps());
  EXPECT_FALSE(spec.rot90 || spec.noise || spec.affine);
  WM_EXPECT_ERROR(parse_augment({"elastc"}), ConfigError, "elastic");
}

TEST(SpatialWarp, without_affine_and_elastic_nothing_moves) {
  const Extent3 extent{3, 4, 5};
  const SpatialWarp warp({}, extent, {1, 2, 3}, 1, 2, 3);
  std::vector<float> values(60);
  std::iota(values.begin(), values.end(), 0.0F);
  const std::vector<float> before = values;
  std::vector<float> scratch(60);
  warp_in_place(warp, dense_box(extent), values.data(), scratch);
  EXPECT_EQ(values, before);
}

TEST(SpatialWarp, draws_are_a_pure_function_of_seed_epoch_and_case) {
  const Extent3 extent{6, 7, 8};
  const AugmentSpec spec = parse_augment({"affine", "elastic"});
  const auto row = [&](uint64_t seed, uint64_t epoch, uint64_t index) {
    std::vector<std::array<float, 3>> positions(8);
    SpatialWarp(spec, extent, {1, 1, 1}, seed, epoch, index).source_row(1, 2, positions);
    return positions;
  };
  EXPECT_EQ(row(1, 2, 3), row(1, 2, 3));
  EXPECT_NE(row(1, 2, 3), row(2, 2, 3));
  EXPECT_NE(row(1, 2, 3), row(1, 3, 3));
  EXPECT_NE(row(1, 2, 3), row(1, 2, 4));
}

TEST(SpatialWarp, affine_is_a_similarity_in_millimetres_about_the_centre) {
  const Extent3 extent{9, 31, 41};
  const std::array<double, 3> spacing{4, 1.5, 1};
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    const SpatialWarp warp(only("affine"), extent, spacing, 1, epoch, 0);
    std::vector<std::array<float, 3>> first(41);
    std::vector<std::array<float, 3>> second(41);
    warp.source_row(4, 15, first);
    warp.source_row(7, 25, second);
    // The centre voxel stays; tolerances: float32 rounding of positions up to 40.
    for (size_t axis = 0; axis < 3; ++axis) {
      EXPECT_NEAR(first[20][axis], axis == 0 ? 4 : axis == 1 ? 15 : 20, 1e-5);
    }
    const auto length = [&](const std::array<float, 3>& to) {
      double square = 0;
      for (size_t axis = 0; axis < 3; ++axis) {
        const double step = static_cast<double>(to[axis] - first[20][axis]) * spacing[axis];
        square += step * step;
      }
      return std::sqrt(square);
    };
    const double scale = length(first[30]) / 10.0;
    EXPECT_GT(scale, 0.86);
    EXPECT_LT(scale, 1.16);
    // From the centre to (7, 25, 20): 12 mm along d and 15 mm along h.
    EXPECT_NEAR(length(second[20]), scale * std::hypot(12.0, 15.0), 1e-4);
  }
}

TEST(SpatialWarp, elastic_displacements_are_bounded_and_do_not_fold) {
  const Extent3 extent{40, 50, 60};
  for (uint64_t epoch = 0; epoch < 5; ++epoch) {
    const SpatialWarp warp(only("elastic"), extent, {1, 1, 1}, 1, epoch, 0);
    std::vector<std::array<float, 3>> row(60);
    double largest = 0;
    for (int64_t d = 0; d < 40; d += 3) {
      for (int64_t h = 0; h < 50; h += 3) {
        warp.source_row(d, h, row);
        for (size_t w = 0; w < 60; ++w) {
          EXPECT_LE(std::abs(row[w][0] - static_cast<float>(d)), 0.03F * 40 + 1e-4F);
          EXPECT_LE(std::abs(row[w][1] - static_cast<float>(h)), 0.03F * 50 + 1e-4F);
          largest =
              std::max(largest, std::abs(static_cast<double>(row[w][2]) - static_cast<double>(w)));
          if (w > 0) {
            EXPECT_GT(row[w][2], row[w - 1][2]);
          }
        }
      }
    }
    EXPECT_LE(largest, 0.03 * 60 + 1e-4);
    EXPECT_GT(largest, 0.2);
  }
}

TEST(SpatialWarp, linear_ramps_are_interpolated_exactly_and_labels_keep_their_values) {
  const Extent3 extent{12, 12, 12};
  const SpatialWarp warp(only("affine"), extent, {1, 1, 1}, 1, 5, 0);
  const StridedBox box = dense_box(extent);
  std::vector<float> ramp;
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < 1728; ++i) {
    ramp.push_back(static_cast<float>(i / 144 * 2 + i / 12 % 12 * 3 + i % 12));
    labels.push_back(i % 12 < 6 ? 0 : 200);
  }
  std::vector<float> scratch(1728);
  std::vector<uint8_t> label_scratch(1728);
  warp_in_place(warp, box, ramp.data(), scratch);
  warp_in_place(warp, box, labels.data(), label_scratch);
  std::vector<std::array<float, 3>> row(12);
  for (int64_t d = 0; d < 12; ++d) {
    for (int64_t h = 0; h < 12; ++h) {
      warp.source_row(d, h, row);
      for (int64_t w = 0; w < 12; ++w) {
        std::array<float, 3> at = row[static_cast<size_t>(w)];
        for (float& position : at) position = std::clamp(position, 0.0F, 11.0F);
        const auto i = static_cast<size_t>((d * 12 + h) * 12 + w);
        // Seven float32 roundings of values up to 66.
        EXPECT_NEAR(ramp[i], at[0] * 2 + at[1] * 3 + at[2], 7 * 66.0 / 8388608);
        EXPECT_EQ(labels[i], at[2] < 5.5F ? 0 : 200);
      }
    }
  }
}

TEST(IntensityChange, draws_stay_in_their_ranges_and_repeat) {
  const AugmentSpec all = parse_augment({"intensity-scale", "intensity-shift", "noise"});
  for (uint64_t epoch = 0; epoch < 100; ++epoch) {
    const IntensityChange change = draw_intensity_change(all, {1, epoch, 2, 0});
    EXPECT_NEAR(change.scale, 1.0, 0.1);
    EXPECT_NEAR(change.shift, 0.0, 0.1);
    EXPECT_NEAR(change.noise, 0.05, 0.05);
    EXPECT_EQ(draw_intensity_change(all, {1, epoch, 2, 0}).scale, change.scale);
    EXPECT_NE(draw_intensity_change(all, {1, epoch, 2, 1}).scale, change.scale);
    const IntensityChange one = draw_intensity_change(only("intensity-scale"), {1, epoch, 2, 0});
    EXPECT_EQ(one.scale, change.scale);
    EXPECT_EQ(one.shift, 0.0);
  }
}

TEST(IntensityChange, scale_and_shift_use_the_channels_deviation) {
  std::vector<float> values{1, 3, 1, 3};
  change_intensity({2.0, 0.5, 0.0}, {}, false, values.data(), dense_box({1, 1, 4}));
  EXPECT_EQ(values, (std::vector<float>{2.5F, 6.5F, 2.5F, 6.5F}));
  std::vector<float> zeros{0, 1, 3, 0};
  change_intensity({2.0, 0.5, 0.0}, {}, true, zeros.data(), dense_box({1, 1, 4}));
  EXPECT_EQ(zeros, (std::vector<float>{0, 2.5F, 6.5F, 0}));
}

TEST(IntensityChange, noise_has_the_deviation_asked_for) {
  const Extent3 extent{20, 50, 50};
  std::vector<float> values(50000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? -1.0F : 1.0F;
  auto noisy = values;
  change_intensity({1.0, 0.0, 0.1}, {4, 5, 6, 0}, false, noisy.data(), dense_box(extent));
  double sum = 0;
  double squares = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = static_cast<double>(noisy[i]) - static_cast<double>(values[i]);
    EXPECT_LT(std::abs(difference), 0.35);
    sum += difference;
    squares += difference * difference;
  }
  // 50,000 draws: five standard errors of the mean (0.1 / sqrt(n)) and of the deviation.
  EXPECT_NEAR(sum / 50000, 0.0, 5 * 0.1 / std::sqrt(50000.0));
  EXPECT_NEAR(std::sqrt(squares / 50000), 0.1, 5 * 0.1 / std::sqrt(2 * 50000.0));
}

TEST(Augment, cases_load_with_every_change_and_repeat_to_the_bit) {
  const TemporaryFolder folder;
  const Extent3 extent{6, 9, 9};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec;
  spec.channels = select_channels(dataset, {});
  spec.target = make_target(dataset, {"labels"});
  spec.shape.multiple = {4, 4, 4};
  spec.seed = 11;
  spec.augment = parse_augment(
      {"flip", "rot90", "affine", "elastic", "intensity-scale", "intensity-shift", "noise"});
  const StagingDesc staging = staging_desc(spec, extent);
  EXPECT_EQ(staging.scratch_bytes, 1984U) << "6 * 9 * 9 floats, in whole 64 bytes";
  EXPECT_EQ(staging.bytes, staging.scratch_offset + staging.scratch_bytes);
  const auto load = [&](uint64_t epoch) {
    std::vector<std::byte> memory(staging.bytes, std::byte{0x7f});
    const LoadedCase loaded = load_case(dataset.cases[0], {0, epoch}, spec, memory);
    const auto* values = reinterpret_cast<const float*>(loaded.image.origin);
    const auto* labels = reinterpret_cast<const uint8_t*>(loaded.target->origin);
    for (int64_t i = 0; i < loaded.image.desc.num_elements(); ++i) {
      EXPECT_TRUE(std::isfinite(values[i]));
    }
    for_each_voxel(moved_box(*loaded.target, 0, loaded.placement.valid, {}),
                   [&](int64_t at) { EXPECT_LT(labels[at], 4); });
    // Padding is left alone.
    EXPECT_EQ(*loaded.image.at<float>(0, 3, 7, 0, 0), 0.0F);
    memory.resize(staging.scratch_offset);
    return memory;
  };
  EXPECT_EQ(load(0), load(0));
  EXPECT_NE(load(0), load(1));
}

}  // namespace
}  // namespace wholemount
