#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/cli/run_binary.h"
#include "wholemount/exec/safetensors.h"

namespace wholemount::testing {
namespace {

constexpr Extent3 kExtent{2, 3, 4};

// Two channels: 0..23, and the same doubled and made negative.
std::vector<int16_t> two_channels() {
  std::vector<int16_t> voxels(48);
  for (int16_t i = 0; i < 24; ++i) {
    voxels[static_cast<size_t>(i)] = i;
    voxels[static_cast<size_t>(24 + i)] = static_cast<int16_t>(-2 * i);
  }
  return voxels;
}

std::string write_scan(const TemporaryFolder& folder, const std::string& name = "scan.nii.gz") {
  VolumeHeader header = make_header(kExtent, VoxelType::i16, 2);
  header.geometry = geometry_from_spacing({3, 2, 1.5});
  header.slope = 0.5;
  header.intercept = 10;
  const auto bytes = make_nifti(header, two_channels());
  write_bytes(folder / name, name.ends_with(".gz") ? gzip(bytes) : bytes);
  return folder / name;
}

TEST(InfoScan, json_tells_shape_spacing_type_scaling_and_values) {
  const TemporaryFolder folder;
  const CommandResult result = run_binary({"info", write_scan(folder), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = result.json();
  EXPECT_EQ(json["kind"], "scan");
  EXPECT_EQ(json["shape"], (std::array{2, 3, 4}));
  EXPECT_EQ(json["file_shape"], (std::array{4, 3, 2}));
  EXPECT_EQ(json["spacing_mm"], (std::array{3.0, 2.0, 1.5}));
  EXPECT_EQ(json["channels"], 2);
  EXPECT_EQ(json["type"], voxel_type_name(VoxelType::i16));
  EXPECT_EQ(json["slope"], 0.5);
  EXPECT_EQ(json["intercept"], 10);
  EXPECT_EQ(json["orientation"], "RAS");
  EXPECT_EQ(json["affine_mm"][0][0], 1.5);
  ASSERT_EQ(json["channel_values"].size(), 2U);
  // 10 + 0.5 * (0..23) and 10 - (0..23): all exact in float32.
  EXPECT_EQ(json["channel_values"][0]["min"], 10.0);
  EXPECT_EQ(json["channel_values"][0]["max"], 21.5);
  EXPECT_EQ(json["channel_values"][0]["mean"], 15.75);
  EXPECT_EQ(json["channel_values"][1]["min"], -13.0);
  EXPECT_EQ(json["channel_values"][1]["zeros"], 1);
}

TEST(InfoScan, text_shows_both_readings_of_the_shape) {
  const TemporaryFolder folder;
  const CommandResult result = run_binary({"info", write_scan(folder, "scan.nii")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("[2, 3, 4] (d, h, w)"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("[4, 3, 2]"), std::string::npos) << result.out;
}

TEST(InfoScan, label_maps_list_their_values) {
  const TemporaryFolder folder;
  std::vector<uint8_t> labels(24, 0);
  labels[3] = labels[4] = 2;
  write_bytes(folder / "label.nii", make_nifti(make_header(kExtent, VoxelType::u8), labels));
  const nlohmann::json json = run_binary({"info", folder / "label.nii", "--json"}).json();
  EXPECT_EQ(json["channel_values"][0]["values"], (nlohmann::json{{"0", 22}, {"2", 2}}));
}

TEST(InfoScan, truncated_payload_is_exit_3_with_path_and_offset) {
  const TemporaryFolder folder;
  auto bytes = make_nifti(make_header(kExtent, VoxelType::i16, 2), two_channels());
  bytes.resize(bytes.size() - 7);
  write_bytes(folder / "plain.nii", bytes);
  expect_failure(run_binary({"info", folder / "plain.nii"}), 3, {"plain.nii", "at byte"});
  const std::string whole = write_scan(folder);
  auto compressed = read_bytes(whole);
  compressed.resize(compressed.size() - 6);
  write_bytes(folder / "cut.nii.gz", compressed);
  expect_failure(run_binary({"info", folder / "cut.nii.gz"}), 3, {"cut.nii.gz"});
}

TEST(InfoScan, voxels_that_are_not_finite_are_described_and_exit_3) {
  const TemporaryFolder folder;
  std::vector<float> voxels(24, 1.0F);
  voxels[13] = std::numeric_limits<float>::quiet_NaN();
  write_bytes(folder / "nan.nii", make_nifti(make_header(kExtent, VoxelType::f32), voxels));
  const CommandResult result = run_binary({"info", folder / "nan.nii", "--json"});
  expect_failure(result, 3, {"nan.nii", "1 voxels", "[1, 0, 1]"});
  EXPECT_EQ(result.json()["channel_values"][0]["non_finite"], 1);
  EXPECT_EQ(result.json()["channel_values"][0]["mean"], 1.0);
}

TEST(InfoScan, files_that_are_missing_or_something_else_are_exit_3) {
  const TemporaryFolder folder;
  write_bytes(folder / "text.nii", std::vector<std::byte>(500, std::byte{'x'}));
  expect_failure(run_binary({"info", folder / "text.nii"}), 3, {"text.nii"});
  expect_failure(run_binary({"info", folder / "absent.nii"}), 3, {"absent.nii"});
}

TEST(Info, several_files_are_all_reported_and_the_first_failure_decides) {
  const TemporaryFolder folder;
  const std::string good = write_scan(folder);
  const CommandResult result =
      run_binary({"info", folder / "absent1.nii", good, folder / "absent2.nii", "--json"});
  expect_failure(result, 3, {"absent1.nii", "absent2.nii"});
  const nlohmann::json files = result.json()["files"];
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0]["exit_code"], 3);
  EXPECT_EQ(files[1]["kind"], "scan");
  EXPECT_FALSE(files[1].contains("error"));
}

TEST(Info, nothing_to_describe_and_unknown_options_are_usage_errors) {
  expect_failure(run_binary({"info"}), 2, {"--machine"});
  expect_failure(run_binary({"info", "--machine", "file.nii"}), 2, {"--machine"});
  expect_failure(run_binary({"info", "--no-such-option", "x.nii"}), 2, {});
  EXPECT_EQ(run_binary({"info", "--help"}).exit_code, 0);
}

TEST(InfoMachine, cpus_caches_and_memory_are_told) {
  const CommandResult result = run_binary({"info", "--machine", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = result.json();
  EXPECT_GE(json["usable_cpus"].get<int>(), 1);
  EXPECT_FALSE(json["isa"].get<std::string>().empty());
  EXPECT_GT(json["memory_bytes"].get<int64_t>(), json["available_memory_bytes"].get<int64_t>() / 2);
  EXPECT_TRUE(json["caches"].is_array());
  EXPECT_EQ(run_binary({"info", "--machine"}).exit_code, 0);
}

// A run folder with a model of 29 parameters.
class InfoRun : public ::testing::Test {
 protected:
  void SetUp() override {
    write_text("run/config.toml", "");
    const std::vector<float> values(24, 0.5F);
    const auto bytes = std::as_bytes(std::span(values));
    write_safetensors(
        folder_ / "run/model.safetensors",
        {{"a", DType::f32, {2, 3, 4}, bytes}, {"b", DType::f32, {5}, bytes.first(20)}},
        {{"spec", "unet3d"}});
  }
  void write_text(const std::string& name, const std::string& text) {
    write_bytes(folder_ / name, std::as_bytes(std::span(text)));
  }
  TemporaryFolder folder_;
};

TEST_F(InfoRun, tensors_parameters_and_metadata_of_a_model_are_told) {
  const nlohmann::json json =
      run_binary({"info", folder_ / "run/model.safetensors", "--json"}).json();
  EXPECT_EQ(json["kind"], "model");
  EXPECT_EQ(json["tensors"], 2);
  EXPECT_EQ(json["parameters"], 29);
  EXPECT_EQ(json["metadata"]["spec"], "unet3d");
}

TEST_F(InfoRun, truncated_model_is_exit_3) {
  auto bytes = read_bytes(folder_ / "run/model.safetensors");
  bytes.resize(bytes.size() - 4);
  write_bytes(folder_ / "cut.safetensors", bytes);
  expect_failure(run_binary({"info", folder_ / "cut.safetensors"}), 3, {"cut.safetensors"});
}

TEST_F(InfoRun, a_run_folder_shows_its_summary_and_model) {
  write_text("run/summary.json", R"({"status": "finished", "metrics": {"dice": 0.75}})");
  const CommandResult result = run_binary({"info", folder_ / "run", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["kind"], "run");
  EXPECT_EQ(result.json()["status"], "finished");
  EXPECT_EQ(result.json()["model"]["parameters"], 29);
  EXPECT_NE(run_binary({"info", folder_ / "run"}).out.find("0.75"), std::string::npos);
}

TEST_F(InfoRun, a_run_without_summary_is_unfinished_and_a_damaged_one_exit_3) {
  EXPECT_EQ(run_binary({"info", folder_ / "run", "--json"}).json()["status"], "unfinished");
  write_text("run/summary.json", R"({"status": "fini)");
  expect_failure(run_binary({"info", folder_ / "run"}), 3, {"summary.json", "at byte"});
}

TEST(InfoDataset, cases_channels_labels_and_shapes_are_told) {
  const TemporaryFolder folder;
  const auto image = make_nifti(make_header(kExtent, VoxelType::i16, 2), two_channels());
  const auto label = make_nifti(make_header(kExtent, VoxelType::u8), std::vector<uint8_t>(24, 1));
  for (const char* name : {"a", "b"}) {
    write_bytes(folder / "imagesTr/" + name + ".nii.gz", gzip(image));
    write_bytes(folder / "labelsTr/" + name + ".nii.gz", gzip(label));
  }
  const std::string text = R"({"name": "Toy", "modality": {"0": "FLAIR", "1": "T1w"},
    "labels": {"0": "background", "1": "lesion"}, "numTraining": 2, "numTest": 0, "test": [],
    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
                 {"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz"}]})";
  write_bytes(folder / "dataset.json", std::as_bytes(std::span(text)));
  const CommandResult result = run_binary({"info", folder.path(), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = result.json();
  EXPECT_EQ(json["kind"], "dataset");
  EXPECT_EQ(json["cases"], 2);
  EXPECT_EQ(json["channels"], (std::array{"FLAIR", "T1w"}));
  EXPECT_EQ(json["labels"]["1"], "lesion");
  EXPECT_EQ(json["shapes"][0]["shape"], (std::array{2, 3, 4}));
  EXPECT_EQ(json["shapes"][0]["cases"], 2);
  EXPECT_EQ(json["cases_read"], 2);
  EXPECT_EQ(json["problems"], nlohmann::json::array({{{"case", ""},
                                                      {"message",
                                                       "no label map holds the label 0 "
                                                       "(background), which the data set declares"},
                                                      {"refused", false}}}));
  EXPECT_EQ(json["intensities"][1]["channel"], "T1w");
  EXPECT_EQ(json["intensities"][1]["min"], -46);
  EXPECT_EQ(json["intensities"][1]["zeros"], 2);
  // Of 0, 0, 1, 1 ... 23, 23 the 24th.
  EXPECT_EQ(json["intensities"][0]["percentiles"]["50"], 11);
  EXPECT_EQ(json["label_volumes"][1]["voxels"], 48);
  // 24 voxels of 1 mm^3.
  EXPECT_EQ(json["label_volumes"][1]["mean_ml"], 0.024);
}

TEST(InfoDataset, check_reads_every_case_and_lists_all_that_training_would_refuse) {
  const TemporaryFolder folder;
  const std::vector<float> voxels(24, 1.0F);
  std::string rows = "#labels,0=background,1=lesion\nid,T1,label\n";
  for (int i = 0; i < 9; ++i) {
    const std::string id = std::to_string(i);
    std::vector<uint8_t> labels(24, 0);
    labels[0] = 1;
    // The fifth and the ninth hold what nobody declared.
    if (i % 4 == 0 && i > 0) labels[23] = 5;
    write_bytes(folder / (id + ".nii"), make_nifti(make_header(kExtent, VoxelType::f32), voxels));
    write_bytes(folder / (id + "l.nii"), make_nifti(make_header(kExtent, VoxelType::u8), labels));
    rows.append(id).append(",").append(id).append(".nii,").append(id).append("l.nii\n");
  }
  write_bytes(folder / "manifest.csv", std::as_bytes(std::span(rows)));
  EXPECT_EQ(run_binary({"info", folder.path(), "--json"}).json()["cases_read"], 5);
  const CommandResult all = run_binary({"info", folder.path(), "--check", "--json"});
  expect_failure(all, 3, {"4l.nii", "label 5", "[1, 2, 3]", "1 more problems"});
  EXPECT_EQ(all.json()["cases_read"], 9);
  EXPECT_EQ(all.json()["label_volumes"][2]["declared"], false);
  EXPECT_EQ(all.json()["label_volumes"][2]["cases"], 2);
}

TEST(InfoDataset, a_folder_that_is_nothing_known_is_exit_3) {
  const TemporaryFolder folder;
  expect_failure(run_binary({"info", folder.path()}), 3, {folder.path()});
}

}  // namespace
}  // namespace wholemount::testing
