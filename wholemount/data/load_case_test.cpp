#include "wholemount/data/load_case.h"

#include <cmath>

#include "wholemount/data/dataset_test_support.h"
#include "wholemount/tensor/target.h"

namespace wholemount {
namespace {

using testing::make_brain_dataset;
using testing::make_header;
using testing::make_nifti;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::test_intensity;
using testing::test_label;
using testing::write_bytes;
using testing::write_test_image;
using testing::write_test_label;

LoadSpec plain_spec(const Dataset& dataset) {
  LoadSpec spec;
  spec.channels = select_channels(dataset, {});
  spec.normalise.kind = NormaliseKind::none;
  spec.target = make_target(dataset, {"labels"});
  return spec;
}

struct Loaded {
  std::vector<std::byte> memory;
  LoadedCase loaded;
};

// Memory starts poisoned, so anything not written shows.
Loaded load(const Case& subject, const LoadSpec& spec, const Extent3& stored, uint64_t epoch = 0) {
  Loaded result;
  result.memory.assign(staging_desc(spec, stored).bytes, std::byte{0x7f});
  result.loaded = load_case(subject, {0, epoch}, spec, result.memory);
  return result;
}

TEST(LoadCase, voxels_lie_in_the_tensor_with_zero_around_and_an_ignored_target) {
  const TemporaryFolder folder;
  const Extent3 extent{3, 5, 6};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec = plain_spec(dataset);
  spec.shape.multiple = {4, 4, 4};
  const Loaded result = load(dataset.cases[0], spec, extent);
  const LoadedCase& loaded = result.loaded;
  EXPECT_EQ(loaded.image.desc, TensorDesc::activation(1, 4, {4, 8, 8}));
  EXPECT_EQ(loaded.placement.valid, (Box3{{0, 1, 1}, {3, 6, 7}}));
  for (int64_t c = 0; c < 4; ++c) {
    for (int64_t d = 0; d < 4; ++d) {
      for (int64_t h = 0; h < 8; ++h) {
        for (int64_t w = 0; w < 8; ++w) {
          const bool inside = contains(loaded.placement.valid, {{d, h, w}, {d + 1, h + 1, w + 1}});
          EXPECT_EQ(*loaded.image.at<float>(0, c, d, h, w),
                    inside ? test_intensity(c, d, h - 1, w - 1) : 0.0F);
          EXPECT_EQ(*loaded.target->at<uint8_t>(0, 0, d, h, w),
                    inside ? test_label(d, h - 1, w - 1) : kIgnoreTarget);
        }
      }
    }
  }
}

TEST(LoadCase, more_than_four_channels_are_blocked_with_zero_spare_lanes) {
  const TemporaryFolder folder;
  const Extent3 extent{2, 2, 3};
  write_test_image(folder / "i.nii", extent, 6);
  Case subject;
  subject.id = "i";
  LoadSpec spec;
  spec.normalise.kind = NormaliseKind::none;
  for (int64_t c = 0; c < 6; ++c) {
    subject.channels.push_back({folder / "i.nii", c});
    spec.channels.push_back(5 - c);  // reversed: files are read backwards too
  }
  const Loaded result = load(subject, spec, extent);
  const TensorView& image = result.loaded.image;
  EXPECT_EQ(image.desc.layout, Layout::blocked16);
  for (int64_t lane = 0; lane < 16; ++lane) {
    EXPECT_EQ(image.at<float>(0, 0, 1, 1, 2)[lane],
              lane < 6 ? test_intensity(5 - lane, 1, 1, 2) : 0.0F);
  }
  EXPECT_FALSE(result.loaded.target);
}

TEST(LoadCase, cropping_takes_the_centre_and_normalises_what_is_used) {
  const TemporaryFolder folder;
  const Extent3 extent{6, 5, 4};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec = plain_spec(dataset);
  spec.channels = {1};
  spec.shape.fixed = Extent3{2, 2, 2};
  spec.normalise.kind = NormaliseKind::zscore;
  const Loaded result = load(dataset.cases[0], spec, extent);
  double sum = 0;
  for (int64_t d = 0; d < 2; ++d) {
    for (int64_t h = 0; h < 2; ++h) {
      for (int64_t w = 0; w < 2; ++w) {
        const double raw = static_cast<double>(test_intensity(1, d + 2, h + 1, w + 1));
        const IntensityScale& scale = result.loaded.scales[0];
        EXPECT_EQ(*result.loaded.image.at<float>(0, 0, d, h, w),
                  static_cast<float>((raw - scale.shift) * scale.scale));
        sum += raw;
        EXPECT_EQ(*result.loaded.target->at<uint8_t>(0, 0, d, h, w),
                  test_label(d + 2, h + 1, w + 1));
      }
    }
  }
  EXPECT_DOUBLE_EQ(result.loaded.scales[0].shift, sum / 8);
}

TEST(LoadCase, normalisation_comes_before_padding_and_padding_stays_zero) {
  const TemporaryFolder folder;
  const Extent3 extent{2, 3, 3};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec = plain_spec(dataset);
  spec.normalise.kind = NormaliseKind::zscore;
  const Loaded plain = load(dataset.cases[0], spec, extent);
  spec.shape.multiple = {4, 4, 4};
  const Loaded padded = load(dataset.cases[0], spec, extent);
  EXPECT_EQ(*padded.loaded.image.at<float>(0, 2, 1, 0, 0),
            *plain.loaded.image.at<float>(0, 2, 0, 0, 0));
  EXPECT_EQ(*padded.loaded.image.at<float>(0, 2, 0, 0, 0), 0.0F);
}

TEST(LoadCase, augmentation_moves_image_and_target_together_and_repeats) {
  const TemporaryFolder folder;
  const Extent3 extent{3, 5, 5};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec = plain_spec(dataset);
  spec.shape.multiple = {4, 4, 4};
  spec.normalise.kind = NormaliseKind::zscore;
  const Loaded still = load(dataset.cases[0], spec, extent);
  spec.augment = {true, true};
  spec.seed = 7;
  int changed = 0;
  for (uint64_t epoch = 0; epoch < 8; ++epoch) {
    const Loaded result = load(dataset.cases[0], spec, extent, epoch);
    EXPECT_EQ(result.memory, load(dataset.cases[0], spec, extent, epoch).memory);
    changed += result.memory != still.memory ? 1 : 0;
    // Undo the move by hand: read the moved tensor through its box.
    const LoadedCase& loaded = result.loaded;
    const auto* image = reinterpret_cast<const float*>(loaded.image.origin);
    const auto* target = reinterpret_cast<const uint8_t*>(loaded.target->origin);
    const StridedBox image_box = moved_box(loaded.image, 3, loaded.placement.valid, loaded.move);
    const StridedBox label_box = moved_box(*loaded.target, 0, loaded.placement.valid, loaded.move);
    for (int64_t d = 0; d < 3; ++d) {
      for (int64_t h = 0; h < 5; ++h) {
        for (int64_t w = 0; w < 5; ++w) {
          ASSERT_EQ(image[image_box.at(d, h) + w * image_box.w_pitch],
                    *still.loaded.image.at<float>(0, 3, d, h + 1, w + 1));
          ASSERT_EQ(target[label_box.at(d, h) + w * label_box.w_pitch], test_label(d, h, w));
        }
      }
    }
  }
  EXPECT_GT(changed, 4);
}

TEST(LoadCase, padding_of_a_region_target_is_ignored_too) {
  const TemporaryFolder folder;
  const Extent3 extent{2, 2, 3};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  LoadSpec spec = plain_spec(dataset);
  spec.target = make_target(dataset, {"whole-tumour", "tumour-core"});
  spec.shape.multiple = {2, 2, 4};
  const Loaded result = load(dataset.cases[0], spec, extent);
  EXPECT_EQ(*result.loaded.target->at<uint8_t>(0, 0, 1, 1, 3), kIgnoreTarget);
  EXPECT_LT(*result.loaded.target->at<uint8_t>(0, 0, 1, 1, 2), 4);
}

TEST(LoadCase, bad_cases_are_file_errors) {
  const TemporaryFolder folder;
  const Extent3 extent{2, 3, 4};
  const Dataset dataset = make_brain_dataset(folder, {extent});
  const LoadSpec spec = plain_spec(dataset);
  const std::string label = folder / "labelsTr/c0.nii.gz";
  const std::string image = folder / "imagesTr/c0.nii.gz";

  write_test_label(label, {2, 3, 5});
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError, "shape 2x3x5");
  VolumeHeader shifted = make_header(extent, VoxelType::u8);
  shifted.geometry.nifti.srow[0][3] = 0.2;
  write_test_label(label, extent, &shifted);
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError, "lies elsewhere");
  shifted.geometry.nifti.srow[0][3] = 0.01;  // a hundredth of a voxel: rounding of some tool
  write_test_label(label, extent, &shifted);
  EXPECT_NO_THROW(load(dataset.cases[0], spec, extent));

  const auto voxels =
      std::vector<uint8_t>{0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0};
  write_label_map(label, make_header(extent, VoxelType::u8), voxels);
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError,
                  "labelsTr/c0.nii.gz: voxel [1, 1, 1] (d, h, w) holds label 9");
  write_test_label(label, extent);

  write_test_image(image, extent, 3);
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError, "has 3 channels");
  auto bytes = std::vector<float>(96, 1.0F);
  bytes[30] = std::nanf("");
  write_bytes(image, make_nifti(make_header(extent, VoxelType::f32, 4), bytes));
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError,
                  "voxel [0, 1, 2] (d, h, w) of channel 1 is NaN");
  write_test_image(image, {2, 3, 6}, 4);
  WM_EXPECT_ERROR(load(dataset.cases[0], spec, extent), FileError, "data set has changed");
  Case unlabelled = dataset.cases[0];
  unlabelled.label.clear();
  write_test_image(image, extent, 4);
  WM_EXPECT_ERROR(load(unlabelled, spec, extent), FileError, "no label map");
}

TEST(LoadCase, extents_come_from_headers_alone) {
  const TemporaryFolder folder;
  const Dataset dataset = make_brain_dataset(folder, {{2, 3, 4}, {5, 1, 2}});
  EXPECT_EQ(read_case_headers(dataset.cases).extents, (std::vector<Extent3>{{2, 3, 4}, {5, 1, 2}}));
}

TEST(LoadCase, hippocampus_cases_load_whole) {
  const std::string root = shared_data() + "/Task04_Hippocampus";
  WM_NEED_SHARED_DATA(root);
  const Dataset dataset = open_dataset(root);
  EXPECT_EQ(dataset.cases.size(), 195U);
  EXPECT_EQ(dataset.channel_names, std::vector<std::string>{"MRI"});
  const std::vector<Extent3> extents = read_case_headers(dataset.cases).extents;
  LoadSpec spec;
  spec.channels = {0};
  spec.normalise.kind = NormaliseKind::zscore;
  spec.target = make_target(dataset, {"labels"});
  spec.shape.multiple = {8, 8, 8};
  int64_t labels = 0;
  for (size_t i = 0; i < dataset.cases.size(); ++i) {
    EXPECT_GE(extents[i].d, 24);
    EXPECT_LE(extents[i].d, 47);
    if (i % 5 != 0) continue;  // every fifth keeps the test quick
    const Loaded result = load(dataset.cases[i], spec, extents[i]);
    const Box3& valid = result.loaded.placement.valid;
    const StridedBox box = moved_box(result.loaded.image, 0, valid, {});
    const auto* values = reinterpret_cast<const float*>(result.loaded.image.origin);
    double sum = 0;
    for_each_voxel(box, [&](int64_t at) { sum += static_cast<double>(values[at]); });
    // Each of ~1e5 values is rounded to float32: the mean stays below one unit of its last place.
    EXPECT_NEAR(sum / static_cast<double>(volume(box.extent)), 0.0, 1e-6);
    const auto* target = reinterpret_cast<const uint8_t*>(result.loaded.target->origin);
    for_each_voxel(moved_box(*result.loaded.target, 0, valid, {}),
                   [&](int64_t at) { labels += target[at] != 0 ? 1 : 0; });
  }
  EXPECT_GT(labels, 39 * 1000);
}

}  // namespace
}  // namespace wholemount
