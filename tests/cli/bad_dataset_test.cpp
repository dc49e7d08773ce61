// Data sets with mistakes in them, met by `train`: exit 3 and the file at fault.

#include "tests/cli/small_run.h"

namespace wholemount::testing {
namespace {

using BadDataset = SmallRun;

constexpr Extent3 kExtent{8, 8, 8};

TEST_F(BadDataset, an_unchanged_one_trains) {
  const CommandResult result = train({"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["status"], "finished");
  EXPECT_EQ(result.json()["steps"], 2);
}

TEST_F(BadDataset, a_truncated_image_is_named) {
  for (const char* name :
       {"imagesTr/c0.nii.gz", "imagesTr/c1.nii.gz", "imagesTr/c2.nii.gz", "imagesTr/c3.nii.gz"}) {
    std::vector<std::byte> bytes = read_bytes(data_ / name);
    bytes.resize(bytes.size() / 8);  // within the channel that is read
    write_bytes(data_ / name, bytes);
  }
  expect_failure(train(), 3, {"/imagesTr/c", ".nii.gz", "truncated"});
}

TEST_F(BadDataset, an_image_and_a_label_of_other_shapes_are_both_named) {
  write_test_label(data_ / "labelsTr/c1.nii.gz", {8, 8, 9});
  expect_failure(train(), 3,
                 {"labelsTr/c1.nii.gz", "8x8x9", "imagesTr/c1.nii.gz", "8x8x8", "same grid"});
}

TEST_F(BadDataset, an_image_and_a_label_at_other_places_are_both_named) {
  VolumeHeader moved = make_header(kExtent, VoxelType::u8);
  moved.geometry.nifti.srow[0][3] = 3;
  write_test_label(data_ / "labelsTr/c2.nii.gz", kExtent, &moved);
  expect_failure(train(), 3, {"labelsTr/c2.nii.gz", "3.0", "mm", "imagesTr/c2.nii.gz"});
}

TEST_F(BadDataset, a_label_value_nobody_declared_is_named_with_its_place) {
  std::vector<uint8_t> labels(512, 0);
  labels[64 + 8 + 1] = 7;
  write_label_map(data_ / "labelsTr/c3.nii.gz", make_header(kExtent, VoxelType::u8), labels);
  expect_failure(train(), 3, {"labelsTr/c3.nii.gz", "7", "[1, 1, 1]"});
}

TEST_F(BadDataset, voxels_that_are_not_finite_are_named_with_their_place) {
  std::vector<float> voxels(4 * 512, 1.0F);
  voxels[64 + 8 + 1] = std::numeric_limits<float>::infinity();
  write_bytes(data_ / "imagesTr/c0.nii.gz",
              gzip(make_nifti(make_header(kExtent, VoxelType::f32, 4), voxels)));
  expect_failure(train(), 3, {"imagesTr/c0.nii.gz", "[1, 1, 1]", "infinity"});
}

TEST_F(BadDataset, a_file_that_dataset_json_names_but_is_missing_is_named_before_training) {
  std::filesystem::remove(data_ / "labelsTr/c3.nii.gz");
  expect_failure(train(), 3, {"labelsTr/c3.nii.gz", "is missing", "dataset.json"});
  EXPECT_FALSE(std::filesystem::exists(run_folder()));
}

TEST_F(BadDataset, a_broken_dataset_json_is_exit_3_with_the_place) {
  write_text(data_ / "dataset.json", "{\"modality\": {\"0\": \"FLAIR\"}, \"training\": [");
  expect_failure(train(), 3, {"dataset.json", "at byte", "not valid JSON"});
  write_text(data_ / "dataset.json", "{\"modality\": {\"0\": \"FLAIR\"}, \"training\": []}");
  expect_failure(train(), 3, {"dataset.json", "\"labels\" is missing"});
}

TEST_F(BadDataset, a_decathlon_folder_without_its_dataset_json_is_told_what_is_missing) {
  std::filesystem::remove(data_ / "dataset.json");
  expect_failure(train(), 3, {data_.path(), "imagesTr", "dataset.json is missing"});
}

TEST_F(BadDataset, a_folder_of_something_else_is_told_what_was_wanted) {
  const TemporaryFolder other;
  write_text(other / "readme.txt", "nothing");
  expect_failure(train({"--set", "data.root=" + other.path()}), 3,
                 {other.path(), "no data set of a known layout", "dataset.json", "CSV"});
  expect_failure(train({"--set", "data.root=" + (other / "absent")}), 3,
                 {other / "absent", "no such data folder"});
}

}  // namespace
}  // namespace wholemount::testing
