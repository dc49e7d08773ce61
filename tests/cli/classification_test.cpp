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

/// Sets the value of a tag in the first directory of a little-endian TIFF.
void set_tiff_tag(const std::string& path, uint16_t tag, uint32_t value) {
  std::vector<std::byte> bytes = read_bytes(path);
  const auto number = [&](size_t at, size_t size) {
    uint32_t result = 0;
    for (size_t i = size; i-- > 0;)
      result = result << 8U | std::to_integer<uint32_t>(bytes[at + i]);
    return result;
  };
  const size_t directory = number(4, 4);
  for (size_t i = 0; i < number(directory, 2); ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (number(entry, 2) != tag) continue;
    bytes[entry + 2] = std::byte{4};  // LONG
    for (size_t k = 0; k < 4; ++k) bytes[entry + 8 + k] = static_cast<std::byte>(value >> (8 * k));
  }
  write_bytes(path, bytes);
}

TEST_F(Classification, channels_of_a_field_that_do_not_belong_together_are_refused) {
  write_field("a.tif", {1, 64, 96});
  write_field("b.tif", {1, 64, 96});
  write_field("small.tif", {1, 64, 80});
  write_tiff(folder_ / "bytes.tif", {1, 64, 96}, std::vector<uint8_t>(64 * 96, 1));
  const auto train_on = [&](const std::string& second_channel) {
    std::ofstream(folder_ / "set.csv")
        << "id,red,green,class\nfirst,a.tif,b.tif,x\nsecond,a.tif," << second_channel << ",y\n";
    return run_binary({"train", config(folder_ / "set.csv"), "--out", folder_ / "run", "--set",
                       "data.split={ by = \"case\", folds = \"none\", train = 1.0, validation = "
                       "0.0, test = 0.0 }"});
  };
  expect_failure(train_on("small.tif"), 3, {"small.tif", "64", "80", "96"});
  std::filesystem::remove_all(std::string(folder_ / "run"));
  expect_failure(train_on("bytes.tif"), 3, {"bytes.tif", "uint8", "uint16", "one type"});
}

TEST_F(Classification, absurd_tiff_dimensions_are_refused_before_memory_is_taken) {
  constexpr uint16_t kImageWidth = 256;
  constexpr uint16_t kImageLength = 257;
  for (const uint16_t tag : {kImageWidth, kImageLength}) {
    for (const uint32_t size : {0U, 0x7fffffffU, 0xffffffffU}) {
      write_field("absurd.tif", {1, 64, 96});
      set_tiff_tag(folder_ / "absurd.tif", tag, size);
      // 1 GiB of addresses: nothing of that size may even be asked for.
      expect_failure(run_binary({"info", folder_ / "absurd.tif"}, {1 << 20, 0}), 3, {"absurd.tif"});
    }
  }
}

TEST_F(Classification, tables_of_unknown_treatments_and_absent_images_are_refused) {
  const std::string root = drawn_fields();
  const std::string path = config(root);
  std::ofstream(root + "/BBBC021_v1_moa.csv") << "compound,concentration,moa\nother,1,none\n";
  expect_failure(run_binary({"train", path, "--out", folder_ / "run"}), 3,
                 {"cells", "compound and concentration", "moa.csv"});
  std::ofstream(root + "/BBBC021_v1_moa.csv") << "compound,concentration,moa\nDMSO,much,DMSO\n";
  expect_failure(run_binary({"train", path, "--out", folder_ / "run"}), 3,
                 {"BBBC021_v1_moa.csv", "line 2", "much"});
}

TEST_F(Classification, fitted_intensities_belong_to_the_model) {
  const std::string path = config(drawn_fields());
  const std::vector<std::string> fitted = {"--set", "data.normalise=zscore-controls", "--set",
                                           "data.illumination=true"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), fitted.begin(), fitted.end());
    return arguments;
  };
  const std::string run = folder_ / "run";
  const CommandResult train = run_binary(with({"train", path, "--out", run, "--json"}));
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_TRUE(std::filesystem::exists(run + "/intensity.json"));
  const std::string other = folder_ / "other";
  ASSERT_EQ(run_binary(with({"train", path, "--out", other, "--max-steps", "2"})).exit_code, 0);
  const CommandResult resumed =
      run_binary(with({"train", path, "--out", other, "--resume", "--json"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(resumed.json()["weights_digest"], train.json()["weights_digest"]);
  // Elsewhere, with the model alone.
  std::filesystem::copy_file(run + "/model.safetensors",
                             std::string(folder_ / "model.safetensors"));
  const CommandResult evaluated =
      run_binary({"evaluate", folder_ / "model.safetensors", "--split", "validation", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(evaluated.json()["metrics"]["top-1"], train.json()["metrics"]["top-1"]);
  const CommandResult predicted =
      run_binary({"predict", folder_ / "model.safetensors", folder_ / "cells", "--out",
                  folder_ / "out", "--json"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  std::map<std::string, std::string> called;
  const auto predictions = predicted.json();
  for (const auto& image : predictions["cases"]) called[image["id"]] = image["class"];
  const auto json = evaluated.json();
  for (const auto& image : json["metric_per_case"]) {
    EXPECT_EQ(called.at(image["id"]), image["called"]);
  }
}

TEST_F(Classification, a_split_of_augmented_copies_is_labelled_wherever_its_scores_stand) {
  const std::string path = config(drawn_fields());
  const std::string run = folder_ / "run";
  const CommandResult train =
      run_binary({"train", path, "--out", run, "--json", "--set", "train.epochs=1", "--set",
                  "data.augment=[]", "--set", "data.copies=A", "--set",
                  "data.split={ by = \"copy\", folds = \"none\", train = 0.9, validation = 0.1, "
                  "test = 0.0 }"});
  ASSERT_EQ(train.exit_code, 0) << train.err;
  const auto text_of = [](const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  EXPECT_EQ(train.json()["split_leaks"], true);
  EXPECT_NE(train.err.find("LEAKING SPLIT"), std::string::npos);
  EXPECT_NE(text_of(run + "/summary.json").find("\"split_leaks\": true"), std::string::npos);
  EXPECT_NE(text_of(run + "/log.jsonl").find("LEAKING SPLIT"), std::string::npos);
  EXPECT_NE(text_of(run + "/report.html").find("LEAKING SPLIT"), std::string::npos);
  const CommandResult evaluated = run_binary({"evaluate", run, "--split", "validation"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_NE(evaluated.out.find("LEAKING SPLIT"), std::string::npos);
  // 24 rectangles have 4 copies each: 86 train, 10 validate.
  EXPECT_EQ(run_binary({"evaluate", run, "--split", "validation", "--json"}).json()["images"], 10);
}

TEST_F(Classification, written_copies_are_a_data_set_whose_fields_stay_together) {
  const std::string root = drawn_fields();
  const std::string out = folder_ / "copies";
  const CommandResult augment =
      run_binary({"augment", root, out, "--copies", "A", "--crop", "64", "--json"});
  ASSERT_EQ(augment.exit_code, 0) << augment.err;
  EXPECT_EQ(augment.json()["fields"], 24);
  EXPECT_EQ(augment.json()["copies"], 144);
  const std::string path = config(out);
  const auto train_by = [&](const std::string& by) {
    return run_binary({"train", path, "--out", folder_ / by, "--max-steps", "1", "--json", "--set",
                       "data.split={ by = \"" + by +
                           "\", folds = \"none\", train = 0.5, validation = 0.5, test = 0.0 }"});
  };
  const CommandResult kept = train_by("case");
  ASSERT_EQ(kept.exit_code, 0) << kept.err;
  EXPECT_FALSE(kept.json().contains("split_leaks"));
  EXPECT_EQ(train_by("copy").json()["split_leaks"], true);
  expect_failure(run_binary({"augment", root, out, "--copies", "C"}), 2, {"unknown set \"C\""});
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
