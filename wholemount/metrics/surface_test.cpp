#include "wholemount/metrics/surface.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "wholemount/base/rng.h"
#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/volume_test_support.h"
#include "wholemount/metrics/distance_transform.h"

namespace wholemount {
namespace {

struct Labels {
  Extent3 extent;
  std::vector<uint8_t> values = std::vector<uint8_t>(static_cast<size_t>(volume(extent)));
  uint8_t& at(int64_t d, int64_t h, int64_t w) {
    return values[static_cast<size_t>((d * extent.h + h) * extent.w + w)];
  }
  LabelMask mask(int64_t label = 1) {
    return {whole_view(TensorDesc::plain(1, 1, extent, DType::u8),
                       reinterpret_cast<std::byte*>(values.data())),
            LabelCoding::classes, label};
  }
};

SurfaceDistances compare(Labels& prediction, Labels& reference,
                         const std::array<double, 3>& spacing, int64_t label = 1) {
  return surface_distances(prediction.mask(label), reference.mask(label),
                           whole_box(prediction.extent), spacing);
}

template <class Inside>
Labels fill(const Extent3& extent, const Inside& inside) {
  Labels labels{extent};
  for (int64_t d = 0; d < extent.d; ++d) {
    for (int64_t h = 0; h < extent.h; ++h) {
      for (int64_t w = 0; w < extent.w; ++w) labels.at(d, h, w) = inside(d, h, w) ? 1 : 0;
    }
  }
  return labels;
}

Labels reference_ellipsoid() {
  return fill({12, 14, 16}, [](int64_t d, int64_t h, int64_t w) {
    return 4 * (d - 5) * (d - 5) + (h - 6) * (h - 6) + (w - 7) * (w - 7) < 40;
  });
}

Labels noisy_ellipsoid() {
  return fill({12, 14, 16}, [](int64_t d, int64_t h, int64_t w) {
    return 4 * (d - 6) * (d - 6) + (h - 7) * (h - 7) + (w - 7) * (w - 7) < 45 ||
           (d * 7 + h * 5 + w * 3) % 31 == 0;
  });
}

struct SurfaceFacts {
  std::array<double, 3> spacing;
  std::array<double, 3> nsd;  ///< at 0.5, 1, 2 mm
  double hd95;
  double hd100;
  double reference_area;
  double predicted_area;
};

// Values of the Python package surface-distance 0.1 for the same masks; 1e-9 leaves room for the
// order of sums of a thousand doubles.
TEST(Surface, equals_the_published_package_with_equal_and_unequal_spacing) {
  const SurfaceFacts facts[] = {{{1, 1, 1},
                                 {0.39342661906853554, 0.8141099649753436, 0.9278893135111723},
                                 3.0,
                                 5.744562646538029,
                                 359.74914784661826,
                                 524.750644111143},
                                {{2.2, 0.9, 0.7},
                                 {0.4076694477991952, 0.6688738780143445, 0.8236684071010666},
                                 4.937610758251404,
                                 8.611620056644394,
                                 433.6401042649047,
                                 675.816379274733}};
  Labels reference = reference_ellipsoid();
  Labels prediction = noisy_ellipsoid();
  for (const SurfaceFacts& fact : facts) {
    const SurfaceDistances distances = compare(prediction, reference, fact.spacing);
    const std::array<double, 3> tolerances{0.5, 1, 2};
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(*normalised_surface_dice(distances, tolerances[i]), fact.nsd[i], 1e-9);
    }
    EXPECT_NEAR(*hausdorff_mm(distances), fact.hd95, 1e-9);
    EXPECT_NEAR(*hausdorff_mm(distances, 100), fact.hd100, 1e-9);
    double area = 0;
    for (const SurfaceElement& element : distances.reference_to_prediction) {
      area += element.area_mm2;
    }
    EXPECT_NEAR(area, fact.reference_area, 1e-9);
    area = 0;
    for (const SurfaceElement& element : distances.prediction_to_reference) {
      area += element.area_mm2;
    }
    EXPECT_NEAR(area, fact.predicted_area, 1e-9);
  }
}

TEST(Surface, equals_the_published_package_on_shifted_hippocampus_labels) {
  const std::string path =
      testing::shared_data() + "/Task04_Hippocampus/labelsTr/hippocampus_001.nii.gz";
  WM_NEED_SHARED_DATA(path);
  NiftiReader reader(path);
  Labels reference{reader.header().extent};
  reader.read_labels({0, 0, reference.extent.d}, reference.values);
  Labels prediction{reference.extent};
  for (int64_t d = 2; d < reference.extent.d; ++d) {
    for (int64_t h = 0; h < reference.extent.h; ++h) {
      for (int64_t w = 1; w < reference.extent.w; ++w) {
        prediction.at(d, h, w) = reference.at(d - 2, h, w - 1);
      }
    }
  }
  const auto anterior = compare(prediction, reference, {1, 1, 1}, 1);
  EXPECT_NEAR(*normalised_surface_dice(anterior, 1), 0.716065149525065, 1e-9);
  EXPECT_NEAR(*hausdorff_mm(anterior), 2.0, 1e-9);
  const auto posterior = compare(prediction, reference, {1, 1, 1}, 2);
  EXPECT_NEAR(*normalised_surface_dice(posterior, 1), 0.6519973104063014, 1e-9);
  const auto stretched = compare(prediction, reference, {3, 1.25, 0.5}, 1);
  EXPECT_NEAR(*normalised_surface_dice(stretched, 1), 0.6844920908021591, 1e-9);
  EXPECT_NEAR(*hausdorff_mm(stretched), 3.5355339059327378, 1e-9);
}

TEST(Surface, equal_masks_agree_entirely_and_empty_ones_have_no_value) {
  Labels mask = reference_ellipsoid();
  Labels empty{mask.extent};
  EXPECT_EQ(*normalised_surface_dice(compare(mask, mask, {1, 2, 3}), 0), 1.0);
  EXPECT_EQ(*hausdorff_mm(compare(mask, mask, {1, 2, 3}), 100), 0.0);
  EXPECT_FALSE(normalised_surface_dice(compare(empty, empty, {1, 1, 1}), 1));
  EXPECT_FALSE(hausdorff_mm(compare(empty, empty, {1, 1, 1})));
  EXPECT_EQ(*normalised_surface_dice(compare(mask, empty, {1, 1, 1}), 100), 0.0);
  EXPECT_EQ(*normalised_surface_dice(compare(empty, mask, {1, 1, 1}), 100), 0.0);
  EXPECT_FALSE(hausdorff_mm(compare(empty, mask, {1, 1, 1})));
}

TEST(Surface, masks_at_the_border_of_the_volume_have_a_closed_surface) {
  Labels full{{2, 3, 4}};
  std::fill(full.values.begin(), full.values.end(), uint8_t{1});
  const auto distances = compare(full, full, {1, 1, 1});
  // All corners of the 3 x 4 x 5 grid but the 1 x 2 x 3 inner ones.
  EXPECT_EQ(distances.reference_to_prediction.size(), 60U - 6U);
}

TEST(Surface, voxels_outside_the_box_do_not_count) {
  Labels a = reference_ellipsoid();
  Labels b = a;
  b.at(0, 0, 0) = 1;
  const Box3 box{{1, 1, 1}, {12, 14, 16}};
  const auto distances = surface_distances(a.mask(), b.mask(), box, {1, 1, 1});
  EXPECT_EQ(*hausdorff_mm(distances, 100), 0.0);
}

TEST(Surface, a_pattern_and_its_complement_have_one_area) {
  const auto areas = surface_element_areas({3.1, 1.7, 0.9});
  EXPECT_EQ(areas[0], 0.0);
  for (size_t pattern = 1; pattern < 255; ++pattern) {
    EXPECT_NEAR(areas[pattern], areas[255 - pattern], 1e-14) << pattern;
    EXPECT_GT(areas[pattern], 0.0) << pattern;
  }
  // A plane across the cube: d = 0 in, d = 1 out.
  EXPECT_DOUBLE_EQ(areas[0x0f], 1.7 * 0.9);
}

TEST(DistanceTransform, equals_brute_force_with_unequal_spacing) {
  const Extent3 extent{5, 6, 7};
  const std::array<double, 3> spacing{2.2, 0.9, 0.7};
  CounterRng rng(3, 0, 0, "test");
  std::vector<double> map(static_cast<size_t>(volume(extent)),
                          std::numeric_limits<double>::infinity());
  std::vector<size_t> features;
  for (int i = 0; i < 9; ++i) {
    features.push_back(rng.next_below(map.size()));
    map[features.back()] = 0;
  }
  squared_distance_transform(map, extent, spacing);
  for (size_t i = 0; i < map.size(); ++i) {
    double best = std::numeric_limits<double>::infinity();
    for (const size_t feature : features) {
      const auto axis = [&](size_t at, int64_t pitch, int64_t size) {
        return static_cast<double>(static_cast<int64_t>(at) / pitch % size);
      };
      const double d = (axis(i, 42, 5) - axis(feature, 42, 5)) * spacing[0];
      const double h = (axis(i, 7, 6) - axis(feature, 7, 6)) * spacing[1];
      const double w = (axis(i, 1, 7) - axis(feature, 1, 7)) * spacing[2];
      best = std::min(best, d * d + h * h + w * w);
    }
    EXPECT_NEAR(map[i], best, 1e-13 * best);
  }
}

TEST(DistanceTransform, without_features_everything_is_infinitely_far) {
  std::vector<double> map(24, std::numeric_limits<double>::infinity());
  squared_distance_transform(map, {2, 3, 4}, {1, 1, 1});
  for (const double value : map) EXPECT_TRUE(std::isinf(value));
}

}  // namespace
}  // namespace wholemount
