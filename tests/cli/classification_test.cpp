// Classification of whole fields through the command line: a data set is drawn, trained on,
// evaluated and reported; and what users get wrong is refused with the thing to change.

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "tests/cli/run_binary.h"
#include "wholemount/image/tiff_writer.h"

namespace wholemount::testing {
namespace {

constexpr const char* kConfig = R"([data]
root = "ROOT"
normalise = "percentile"
split = { by = "well", folds = 2, fold = 0 }
augment = ["flip"]
balance = true
[net]
kind = "mcnn"
[train]
epochs = 2
batch = 4
sum_groups = 1
loss = [ { name = "ce", weight = 1.0, label_smoothing = 0.1 } ]
optimizer = { name = "sgd", rate = 0.001, momentum = 0.9, nesterov = true }
)";

class Classification : public ::testing::Test {
 protected:
  std::string config(const std::string& root) {
    std::string text = kConfig;
    text.replace(text.find("ROOT"), 4, root);
    const std::string path = folder_ / "config.toml";
    std::ofstream(path) << text;
    return path;
  }
  /// 6 wells of 4 fields, 3 classes.
  std::string drawn_fields() {
    const std::string root = folder_ / "cells";
    const CommandResult synth = run_binary(
        {"synth", "cells", root, "--images", "24", "--shape", "64x96", "--classes", "3"});
    EXPECT_EQ(synth.exit_code, 0) << synth.err;
    return root;
  }
  void write_field(const std::string& name, const Extent3& extent) {
    const std::string path = folder_ / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_tiff(path, extent, std::vector<uint16_t>(static_cast<size_t>(volume(extent)), 7));
  }
  TemporaryFolder folder_;
};

TEST_F(Classification, drawn_fields_are_trained_on_evaluated_and_resumed_alike) {
  const std::string path = config(drawn_fields());
  const CommandResult plan = run_binary({"plan", path, "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_EQ(plan.json()["input"], (std::vector<int64_t>{4, 3, 1, 128, 128}));
  const std::string run = folder_ / "run";
  const CommandResult train = run_binary({"train", path, "--out", run, "--json"});
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_TRUE(train.json()["metrics"].contains("top-1"));
  EXPECT_FALSE(train.json()["metrics"].contains("Dice"));
  EXPECT_TRUE(train.json()["metrics"].contains("recall/phenotype 01"));

  const std::string other = folder_ / "other";
  ASSERT_EQ(run_binary({"train", path, "--out", other, "--max-steps", "3"}).exit_code, 0);
  const CommandResult resumed = run_binary({"train", path, "--out", other, "--resume", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(resumed.json()["weights_digest"], train.json()["weights_digest"]);

  const CommandResult evaluated = run_binary({"evaluate", run, "--split", "validation", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const auto json = evaluated.json();
  EXPECT_EQ(json["classes"].size(), 3U);
  EXPECT_EQ(json["metric_per_case"].size(), json["images"].get<size_t>());
  EXPECT_EQ(json["metrics"]["top-1"], train.json()["metrics"]["top-1"]);
  EXPECT_TRUE(json["metrics"].contains("NSC"));

  // The same images through predict get the same classes.
  const CommandResult predicted =
      run_binary({"predict", run, folder_ / "cells", "--out", folder_ / "out", "--json"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  std::map<std::string, std::string> called;
  const auto predictions = predicted.json();
  for (const auto& image : predictions["cases"]) called[image["id"]] = image["class"];
  EXPECT_EQ(called.size(), 24U);
  for (const auto& image : json["metric_per_case"]) {
    EXPECT_EQ(called.at(image["id"]), image["called"]);
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out/predictions.csv"));
}

TEST_F(Classification, a_target_ends_the_run_and_is_timed) {
  const CommandResult train =
      run_binary({"train", config(drawn_fields()), "--out", folder_ / "run", "--json", "--set",
                  "train.target={ metric = \"top-1\", value = 0.0 }"});
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_EQ(train.json()["status"], "target-reached");
  EXPECT_EQ(train.json()["epochs"], 1);
  EXPECT_GT(train.json()["seconds_to_target"].get<double>(), 0.0);
  EXPECT_GT(train.json()["images_per_second"].get<double>(), 0.0);
}

TEST_F(Classification, fields_of_different_sizes_are_refused_with_the_key_that_helps) {
  write_field("set/a/1.tif", {1, 64, 96});
  write_field("set/a/2.tif", {1, 64, 300});
  write_field("set/b/1.tif", {1, 64, 96});
  write_field("set/b/2.tif", {1, 64, 96});
  const CommandResult train =
      run_binary({"train", config(folder_ / "set"), "--out", folder_ / "run", "--set",
                  "data.split={ by = \"case\", folds = \"none\", train = 1.0, validation = 0.0, "
                  "test = 0.0 }"});
  expect_failure(train, 2, {"1x128x128", "1x128x384", "data.shape"});
}

TEST_F(Classification, one_class_and_a_class_without_training_images_are_refused) {
  write_field("1.tif", {1, 64, 96});
  std::ofstream(folder_ / "one.csv") << "id,red,class\na,1.tif,x\nb,1.tif,x\n";
  expect_failure(run_binary({"train", config(folder_ / "one.csv"), "--out", folder_ / "run",
                             "--set", "data.split.by=case"}),
                 2, {"holds one class (x)"});
  std::ofstream(folder_ / "two.csv")
      << "id,red,class,well\na,1.tif,x,A1\nb,1.tif,x,A1\nc,1.tif,y,A2\n";
  expect_failure(run_binary({"train", config(folder_ / "two.csv"), "--out", folder_ / "run",
                             "--set", "data.split.hold_out=A2"}),
                 2, {"class \"y\" has no image in the training part"});
}

TEST_F(Classification, files_that_are_missing_cut_off_or_of_another_type_are_refused) {
  write_field("1.tif", {1, 64, 96});
  write_tiff(folder_ / "bytes.tif", {1, 64, 96}, std::vector<uint8_t>(64 * 96, 1));
  const std::vector<std::byte> whole = read_bytes(folder_ / "1.tif");
  write_bytes(folder_ / "cut.tif", std::span(whole).first(whole.size() / 2));
  const auto train_on = [&](const std::string& second) {
    std::ofstream(folder_ / "two.csv")
        << "id,red,class,well\na,1.tif,x,A1\nb," << second << ",y,A2\nc,1.tif,y,A3\nd,1.tif,x,A4\n";
    return run_binary({"train", config(folder_ / "two.csv"), "--out", folder_ / "run", "--set",
                       "data.split={ by = \"case\", folds = \"none\", train = 1.0, validation = "
                       "0.0, test = 0.0 }"});
  };
  expect_failure(train_on("absent.tif"), 3, {"absent.tif", "is missing"});
  expect_failure(train_on("cut.tif"), 3, {"cut.tif", "cut off"});
  expect_failure(train_on("bytes.tif"), 3, {"bytes.tif", "stores uint8", "one type"});
  expect_failure(run_binary({"info", folder_ / "cut.tif"}), 3, {"cut.tif"});
  EXPECT_EQ(run_binary({"info", folder_ / "1.tif", "--json"}).json()["format"], "TIFF");
}

TEST_F(Classification, a_net_that_does_not_fit_the_data_is_refused) {
  write_field("set/a/1.tif", {1, 64, 96});
  write_field("set/b/1.tif", {1, 64, 96});
  expect_failure(run_binary({"plan", config(folder_ / "set"), "--set", "net.kind=unet3d", "--set",
                             "data.split={ by = \"case\", train = 1.0, validation = 0.0, test = "
                             "0.0 }"}),
                 2, {"net.kind", "mcnn"});
}

}  // namespace
}  // namespace wholemount::testing
