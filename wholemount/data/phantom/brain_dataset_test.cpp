#include "wholemount/data/phantom/brain_dataset.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::read_bytes;
using testing::TemporaryFolder;

std::vector<BrainCaseSummary> write(const std::string& root, int64_t num_training, int64_t num_test,
                                    int num_threads) {
  ThreadPool pool(num_threads);
  BrainDatasetSpec spec;
  spec.root = root;
  spec.num_training = num_training;
  spec.num_test = num_test;
  spec.extent = {20, 24, 28};
  spec.seed = 7;
  return write_brain_dataset(spec, &pool, [](const BrainCaseSummary&) {});
}

TEST(BrainDataset, files_and_dataset_json_follow_the_decathlon) {
  const TemporaryFolder folder;
  const auto summaries = write(folder.path(), 2, 1, 2);
  ASSERT_EQ(summaries.size(), 3U);
  NiftiReader image(folder / "imagesTr/BRATS_001.nii.gz");
  EXPECT_EQ(image.header().extent, (Extent3{20, 24, 28}));
  EXPECT_EQ(image.header().channels, 4);
  EXPECT_EQ(image.header().stored, VoxelType::i16);
  image.verify_payload(NonFinite::refuse);
  NiftiReader label(folder / "labelsTr/BRATS_002.nii.gz");
  EXPECT_EQ(label.header().extent, (Extent3{20, 24, 28}));
  EXPECT_EQ(label.header().stored, VoxelType::u8);
  EXPECT_EQ(label.header().geometry.affine_mm, image.header().geometry.affine_mm);
  std::vector<uint8_t> labels(20 * 24 * 28);
  label.read_labels({0, 0, 20}, labels);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(std::count(labels.begin(), labels.end(), static_cast<uint8_t>(i)),
              summaries[1].label_voxels[i]);
  }
  const auto bytes = read_bytes(folder / "dataset.json");
  const auto json =
      nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  EXPECT_EQ(json["name"], "BRATS");
  EXPECT_EQ(json["tensorImageSize"], "4D");
  EXPECT_EQ(json["modality"]["2"], "t1gd");
  EXPECT_EQ(json["labels"]["3"], "enhancing tumour");
  EXPECT_EQ(json["numTraining"], 2);
  EXPECT_EQ(json["training"][1]["label"], "./labelsTr/BRATS_002.nii.gz");
  EXPECT_EQ(json["test"][0], "./imagesTs/BRATS_003.nii.gz");
  EXPECT_TRUE(std::filesystem::exists(folder / "imagesTs/BRATS_003.nii.gz"));
}

TEST(BrainDataset, bytes_do_not_depend_on_threads_or_on_the_number_of_cases) {
  const TemporaryFolder one;
  const TemporaryFolder two;
  write(one.path(), 1, 0, 1);
  write(two.path(), 2, 0, 3);
  for (const std::string file : {"imagesTr/BRATS_001.nii.gz", "labelsTr/BRATS_001.nii.gz"}) {
    EXPECT_EQ(read_bytes(one / file), read_bytes(two / file)) << file;
  }
}

TEST(BrainDataset, refuses_no_case_and_an_unwritable_root) {
  const TemporaryFolder folder;
  WM_EXPECT_ERROR(write(folder.path(), 0, 0, 1), ConfigError, "--cases");
  std::ofstream(folder / "file") << "x";
  WM_EXPECT_ERROR(write(folder / "file", 1, 0, 1), OutputError, "cannot create the folder");
}

}  // namespace
}  // namespace wholemount
