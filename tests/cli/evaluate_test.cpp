#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/cli/run_binary.h"

namespace wholemount::testing {
namespace {

constexpr Extent3 kExtent{1, 2, 5};

class Evaluate : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::vector<uint8_t>& voxels,
             const Extent3& extent = kExtent) {
    const auto bytes = make_nifti(make_header(extent, VoxelType::u8), voxels);
    write_bytes(folder_ / name, name.ends_with(".gz") ? gzip(bytes) : bytes);
  }
  // Case a: label 1 has tp 2, fp 1, fn 1; label 2 tp 1, fp 1, fn 1. Case b: label 1 is perfect,
  // label 2 occurs nowhere.
  void write_two_cases() {
    write("predictions/a.nii.gz", {1, 1, 1, 0, 0, 2, 2, 0, 0, 0});
    write("labels/a.nii.gz", {1, 1, 0, 1, 0, 2, 0, 2, 0, 0});
    write("predictions/b.nii.gz", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    write("labels/b.nii.gz", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  }
  CommandResult evaluate(const std::string& more = "--json", const std::string& value = "") {
    return value.empty()
               ? run_binary({"evaluate", folder_ / "predictions", folder_ / "labels", more})
               : run_binary({"evaluate", folder_ / "predictions", folder_ / "labels", "--json",
                             more, value});
  }
  TemporaryFolder folder_;
};

TEST_F(Evaluate, counts_and_metrics_have_the_shape_of_summary_json) {
  write_two_cases();
  const CommandResult result = evaluate();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = result.json();
  ASSERT_EQ(json["metric_per_case"].size(), 2U);
  const nlohmann::json one = json["metric_per_case"][0];
  EXPECT_EQ(one["prediction_file"], folder_ / "predictions/a.nii.gz");
  EXPECT_EQ(one["reference_file"], folder_ / "labels/a.nii.gz");
  const nlohmann::json first = one["metrics"]["1"];
  EXPECT_EQ(first["TP"], 2);
  EXPECT_EQ(first["FP"], 1);
  EXPECT_EQ(first["FN"], 1);
  EXPECT_EQ(first["TN"], 6);
  EXPECT_EQ(first["n_pred"], 3);
  EXPECT_EQ(first["n_ref"], 3);
  EXPECT_DOUBLE_EQ(first["Dice"], 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(first["IoU"], 2.0 / 4.0);
  EXPECT_DOUBLE_EQ(first["Accuracy"], 8.0 / 10.0);
  EXPECT_DOUBLE_EQ(first["Sensitivity"], 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(first["Precision"], 2.0 / 3.0);
}

TEST_F(Evaluate, an_undefined_metric_is_null_and_out_of_the_means) {
  write_two_cases();
  const nlohmann::json json = evaluate().json();
  EXPECT_TRUE(json["metric_per_case"][1]["metrics"]["2"]["Dice"].is_null());
  EXPECT_DOUBLE_EQ(json["mean"]["1"]["Dice"], (4.0 / 6.0 + 1.0) / 2.0);
  EXPECT_DOUBLE_EQ(json["mean"]["2"]["Dice"], 0.5);
  EXPECT_DOUBLE_EQ(json["mean"]["1"]["TP"], 1.5);
  EXPECT_DOUBLE_EQ(json["foreground_mean"]["Dice"], ((4.0 / 6.0 + 1.0) / 2.0 + 0.5) / 2.0);
}

TEST_F(Evaluate, regions_and_absent_values_can_be_asked_for) {
  write_two_cases();
  const CommandResult result = evaluate("--labels", "1+2,7");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json metrics = result.json()["metric_per_case"][0]["metrics"];
  ASSERT_EQ(metrics.size(), 2U);
  EXPECT_EQ(metrics["(1, 2)"]["TP"], 3);
  EXPECT_EQ(metrics["(1, 2)"]["FP"], 2);
  EXPECT_EQ(metrics["(1, 2)"]["FN"], 2);
  EXPECT_TRUE(metrics["7"]["Dice"].is_null());
  EXPECT_TRUE(result.json()["mean"]["7"]["Dice"].is_null());
}

TEST_F(Evaluate, names_come_from_the_data_set_of_the_references) {
  write_two_cases();
  write("images/a.nii.gz", std::vector<uint8_t>(10));
  const std::string text = R"({"name": "Toy", "modality": {"0": "MRI"},
    "labels": {"0": "background", "1": "edge", "2": "core"}, "test": [],
    "training": [{"image": "./images/a.nii.gz", "label": "./labels/a.nii.gz"}]})";
  write_bytes(folder_ / "dataset.json", std::as_bytes(std::span(text)));
  const CommandResult result = evaluate("--labels", "core,foreground");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["metric_per_case"][0]["metrics"]["2"]["TP"], 1);
  EXPECT_EQ(result.json()["metric_per_case"][0]["metrics"]["(1, 2)"]["TP"], 3);
  expect_failure(evaluate("--labels", "cor"), 2, {"cor", "core"});
}

TEST_F(Evaluate, wrong_labels_are_usage_errors) {
  write_two_cases();
  expect_failure(evaluate("--labels", "256"), 2, {"256", "0 to 255"});
  expect_failure(evaluate("--labels", "1+"), 2, {"1+"});
  expect_failure(evaluate("--labels", "edema"), 2, {"edema", "dataset.json"});
  expect_failure(evaluate("--labels", "1,1"), 2, {"same label 1"});
}

TEST_F(Evaluate, out_holds_what_json_prints) {
  write_two_cases();
  const CommandResult result = evaluate("--out", folder_ / "summary.json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto bytes = read_bytes(folder_ / "summary.json");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), result.out);
  expect_failure(evaluate("--out", folder_ / "absent/summary.json"), 5, {"absent"});
}

TEST_F(Evaluate, text_is_a_table_of_means) {
  write_two_cases();
  const CommandResult result = evaluate("--no-surfaces");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("2 cases"), std::string::npos);
  EXPECT_NE(result.out.find("foreground mean"), std::string::npos);
  // Label 1: (2/3 + 1) / 2.
  EXPECT_NE(result.out.find("0.8333"), std::string::npos) << result.out;
}

TEST_F(Evaluate, single_files_need_no_common_name) {
  write_two_cases();
  const CommandResult result = run_binary(
      {"evaluate", folder_ / "predictions/a.nii.gz", folder_ / "labels/b.nii.gz", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["metric_per_case"].size(), 1U);
}

TEST_F(Evaluate, compression_does_not_matter_for_the_name) {
  write("predictions/a.nii", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  write("labels/a.nii.gz", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(evaluate().json()["mean"]["1"]["Dice"], 1.0);
}

TEST_F(Evaluate, missing_counterparts_are_exit_3_and_partial_leaves_references_out) {
  write_two_cases();
  write("labels/c.nii.gz", std::vector<uint8_t>(10));
  expect_failure(evaluate(), 3, {"labels/c.nii.gz", "no counterpart", "--partial"});
  const CommandResult result =
      run_binary({"evaluate", folder_ / "predictions", folder_ / "labels", "--partial", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["metric_per_case"].size(), 2U);
  write("predictions/d.nii.gz", std::vector<uint8_t>(10));
  expect_failure(evaluate("--partial"), 3, {"predictions/d.nii.gz", "no counterpart"});
}

TEST_F(Evaluate, another_shape_is_exit_3_naming_both_files) {
  write("predictions/a.nii.gz", std::vector<uint8_t>(10));
  write("labels/a.nii.gz", std::vector<uint8_t>(10), {1, 5, 2});
  expect_failure(evaluate(), 3, {"predictions/a.nii.gz", "labels/a.nii.gz", "1x2x5", "1x5x2"});
}

TEST_F(Evaluate, another_place_is_exit_3_naming_both_files) {
  write("predictions/a.nii.gz", std::vector<uint8_t>(10));
  VolumeHeader header = make_header(kExtent, VoxelType::u8);
  header.geometry.nifti.srow[1][3] = 7;
  write_bytes(folder_ / "labels/a.nii", make_nifti(header, std::vector<uint8_t>(10)));
  expect_failure(evaluate(), 3, {"predictions/a.nii.gz", "labels/a.nii", "7.0"});
}

TEST_F(Evaluate, voxels_that_are_no_label_and_damage_are_exit_3) {
  write("labels/a.nii.gz", std::vector<uint8_t>(10));
  std::vector<float> voxels(10, 0.0F);
  voxels[7] = 0.5F;
  write_bytes(folder_ / "predictions/a.nii",
              make_nifti(make_header(kExtent, VoxelType::f32), voxels));
  expect_failure(evaluate(), 3, {"predictions/a.nii", "[0, 1, 2]", "0.5"});
  auto bytes = make_nifti(make_header(kExtent, VoxelType::u8), std::vector<uint8_t>(10));
  bytes.resize(bytes.size() - 3);
  write_bytes(folder_ / "predictions/a.nii", bytes);
  expect_failure(evaluate(), 3, {"predictions/a.nii", "at byte"});
}

TEST_F(Evaluate, folders_that_are_missing_or_empty_are_exit_3) {
  write("labels/a.nii.gz", std::vector<uint8_t>(10));
  expect_failure(evaluate(), 3, {"predictions", "does not exist"});
  write_bytes(folder_ / "predictions/notes.txt", {});
  expect_failure(evaluate(), 3, {"predictions", "no label maps"});
}

TEST_F(Evaluate, one_argument_is_a_usage_error) {
  write_two_cases();
  expect_failure(run_binary({"evaluate", folder_ / "predictions"}), 2, {"evaluate"});
  expect_failure(run_binary({"evaluate"}), 2, {});
}

}  // namespace
}  // namespace wholemount::testing
