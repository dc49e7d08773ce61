// Configurations, outputs and budgets that do not work, met by `train` and `predict`.

#include <sys/mount.h>

#include "tests/cli/small_run.h"

namespace wholemount::testing {
namespace {

using BadRun = SmallRun;

TEST_F(BadRun, unknown_keys_and_values_are_exit_2_and_name_the_nearest_known) {
  expect_failure(train({"--set", "train.epoch=3"}), 2, {"train.epoch", "did you mean \"epochs\""});
  expect_failure(train({"--set", "net.norm=instanse"}), 2, {"net.norm", "instanse", "instance"});
  expect_failure(train({"--set", "train.epochs=many"}), 2, {"train.epochs", "integer"});
  expect_failure(train({"--set", "train.epochs=0"}), 2, {"train.epochs", "0"});
  expect_failure(train({"--set", "data.target=whole-tumor-core"}), 2, {"data.target"});
  expect_failure(train({"--set", "data.channels=[\"FLAIRE\"]"}), 2, {"data.channels", "FLAIR"});
  std::ofstream(config(), std::ios::app) << "learning_rate = 0.1\n";
  expect_failure(train(), 2, {"config.toml:", "learning_rate"});
  EXPECT_FALSE(std::filesystem::exists(run_folder()));
}

TEST_F(BadRun, toml_that_is_none_is_exit_2_with_the_line) {
  write_text(config(), "[data]\nroot = \"x\n");
  expect_failure(train(), 2, {"config.toml:2", "TOML"});
}

TEST_F(BadRun, an_empty_part_of_the_split_is_exit_2) {
  expect_failure(train({"--set", "data.split={seed=1, train=0.9, validation=0.05, test=0.05}"}), 2,
                 {"split", "validation", "empty"});
  expect_failure(train({"--set", "data.split={seed=1, train=0.0, validation=1.0, test=0.0}"}), 2,
                 {"data.split.train"});
  expect_failure(train({"--set", "data.split={seed=1, train=0.9, validation=0.9, test=0.0}"}), 2,
                 {"split"});
}

TEST_F(BadRun, a_budget_below_the_minimum_is_exit_4_and_names_one_that_works) {
  const CommandResult result = train({"--memory", "1M"});
  expect_failure(result, 4, {"1.00 MiB", "smallest budget that works is"});
  EXPECT_FALSE(std::filesystem::exists(run_folder()));
  const std::string words = "smallest budget that works is ";
  std::string rest = result.err.substr(result.err.find(words) + words.size());
  const std::string smallest = rest.substr(0, rest.find_first_not_of("0123456789"));
  EXPECT_EQ(train({"--memory", smallest}).exit_code, 0) << smallest;
}

TEST_F(BadRun, an_output_that_cannot_be_written_is_exit_5) {
  write_text(folder_ / "file", "");
  const std::string below_a_file = folder_ / "file/run";
  expect_failure(run_binary({"train", config(), "--out", below_a_file}), 5, {below_a_file});
  expect_failure(run_binary({"train", config(), "--out", "/proc/run"}), 5, {"/proc/run"});
  ASSERT_EQ(train().exit_code, 0);
  const std::string image = data_ / "imagesTr/c0.nii.gz";
  expect_failure(run_binary({"predict", run_folder(), image, "--out", below_a_file}), 5,
                 {below_a_file});
  expect_failure(
      run_binary({"synth", "brain", below_a_file, "--cases", "1", "--shape", "16x16x16"}), 5,
      {below_a_file});
}

TEST_F(BadRun, a_limit_on_the_size_of_files_is_exit_5_and_leaves_no_half_file) {
  ASSERT_EQ(train().exit_code, 0);
  const ResourceLimits limits{.file_kib = 1};
  const std::string image = data_ / "imagesTr/c0.nii.gz";
  // Probabilities of 512 voxels take 2 KiB and do not compress below 1.
  const std::string out = folder_ / "out";
  expect_failure(
      run_binary({"predict", run_folder(), image, "--out", out, "--probabilities"}, limits), 5,
      {out, "File too large"});
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
  std::filesystem::remove_all(run_folder());
  expect_failure(train({}, limits), 5, {run_folder(), "File too large"});
}

/// A file system of few bytes, where this process may mount one.
class TinyDisk {
 public:
  explicit TinyDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=48k") == 0;
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  ~TinyDisk() {
    if (mounted_) ::umount(path_.c_str());
  }
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_F(BadRun, a_full_disk_is_exit_5_and_keeps_the_last_checkpoint) {
  const TinyDisk disk(folder_ / "disk");
  if (!disk.mounted()) {
    GTEST_SKIP() << "this process may not mount a file system (wants root); the case of a file "
                    "size limit stands in for it";
  }
  const std::string run = folder_ / "disk/run";
  const std::vector<std::string> arguments{"train", config(),
                                           "--out", run,
                                           "--set", "train.epochs=100000",
                                           "--set", "train.checkpoint_every=1"};
  const CommandResult full = run_binary(arguments);
  expect_failure(full, 5, {run, "No space left on device", "free some space"});
  // With room again the run goes on from its last checkpoint.
  std::filesystem::copy(run, run_folder(), std::filesystem::copy_options::recursive);
  const CommandResult resumed =
      train({"--resume", "--set", "train.epochs=100000", "--max-steps", "1", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_GT(resumed.json()["steps"], 1);
}

}  // namespace
}  // namespace wholemount::testing
