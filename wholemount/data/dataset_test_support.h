#pragma once

// Only for the tests of this folder: a small data set in MSD layout, made on the spot.

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"
#include "wholemount/image/nifti_writer.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount::testing {

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

/// Value of voxel (d, h, w) of a channel of a test image: all different, some 0.
inline float test_intensity(int64_t channel, int64_t d, int64_t h, int64_t w) {
  return static_cast<float>((d * 31 + h * 7 + w * 3 + channel * 11) % 50) * 2.0F;
}

/// Label of voxel (d, h, w) of a test label map: 0 to 3.
inline uint8_t test_label(int64_t d, int64_t h, int64_t w) {
  return static_cast<uint8_t>((d + 2 * h + 3 * w) % 4);
}

inline void write_test_image(const std::string& path, const Extent3& extent, int64_t channels) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  NiftiWriter writer(path, make_header(extent, VoxelType::f32), VoxelType::f32, channels);
  std::vector<float> plane(static_cast<size_t>(extent.h * extent.w));
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t d = 0; d < extent.d; ++d) {
      for (int64_t i = 0; i < extent.h * extent.w; ++i) {
        plane[static_cast<size_t>(i)] = test_intensity(c, d, i / extent.w, i % extent.w);
      }
      writer.write_planes({c, d, 1}, plane);
    }
  }
  writer.finish();
}

inline void write_test_label(const std::string& path, const Extent3& extent,
                             const VolumeHeader* like = nullptr) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::vector<uint8_t> labels;
  for (int64_t d = 0; d < extent.d; ++d) {
    for (int64_t h = 0; h < extent.h; ++h) {
      for (int64_t w = 0; w < extent.w; ++w) labels.push_back(test_label(d, h, w));
    }
  }
  write_label_map(path, like != nullptr ? *like : make_header(extent, VoxelType::u8), labels);
}

/// dataset.json of the brain tumour task's form, with cases c0, c1, ...
inline std::string brain_description(size_t num_cases) {
  std::string training;
  for (size_t i = 0; i < num_cases; ++i) {
    const std::string name = "c" + std::to_string(i) + ".nii.gz";
    training += std::string(i == 0 ? "" : ", ") + "{\"image\": \"./imagesTr/" + name +
                "\", \"label\": \"./labelsTr/" + name + "\"}";
  }
  return R"({"name": "BRATS", "tensorImageSize": "4D",
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor",
               "3": "enhancing tumour"},
    "numTraining": )" +
         std::to_string(num_cases) + R"(, "test": ["./imagesTs/absent.nii.gz"], "training": [)" +
         training + "]}";
}

/// Writes a whole data set and opens it.
inline Dataset make_brain_dataset(const TemporaryFolder& folder,
                                  const std::vector<Extent3>& extents) {
  for (size_t i = 0; i < extents.size(); ++i) {
    const std::string name = "c" + std::to_string(i) + ".nii.gz";
    write_test_image(folder / ("imagesTr/" + name), extents[i], 4);
    write_test_label(folder / ("labelsTr/" + name), extents[i]);
  }
  write_text(folder / "dataset.json", brain_description(extents.size()));
  return open_dataset(folder.path());
}

}  // namespace wholemount::testing
