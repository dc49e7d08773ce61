// Runs that stop, are resumed, are damaged in between, or meet each other.

#include "tests/cli/background_run.h"
#include "tests/cli/small_run.h"

namespace wholemount::testing {
namespace {

class InterruptedRun : public SmallRun {
 protected:
  [[nodiscard]] std::vector<std::string> endless() const {
    return {"train",
            config(),
            "--out",
            run_folder(),
            "--threads",
            "1",
            "--set",
            "train.epochs=1000000",
            "--json",
            "--set",
            "train.evaluate_every=1000000",
            "--set",
            "train.checkpoint_every=1000000"};
  }
  [[nodiscard]] std::vector<std::string> checkpoints() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(run_folder() + "/checkpoint")) {
      paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  static void damage(const std::string& path, int64_t from_end) {
    std::vector<std::byte> bytes = read_bytes(path);
    bytes[bytes.size() - static_cast<size_t>(from_end)] ^= std::byte{0x10};
    write_bytes(path, bytes);
  }
  // Two generations: after each of two epochs.
  void train_two_epochs() const {
    ASSERT_EQ(train({"--set", "train.epochs=2"}).exit_code, 0);
    ASSERT_EQ(checkpoints().size(), 2U);
  }
  [[nodiscard]] CommandResult resume(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"--resume", "--json", "--set", "train.epochs=3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return train(arguments);
  }
};

TEST_F(InterruptedRun, sigterm_and_sigint_write_a_checkpoint_and_exit_0) {
  for (const int signal : {SIGTERM, SIGINT}) {
    SCOPED_TRACE(signal);
    std::filesystem::remove_all(run_folder());
    BackgroundRun run(endless());
    ASSERT_TRUE(run.wait_for(run_folder() + "/log.jsonl", "\"step\":3"))
        << run.end_with(SIGKILL).err;
    const CommandResult result = run.end_with(signal);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.json()["status"], "interrupted");
    const int64_t steps = result.json()["steps"];
    EXPECT_GE(steps, 3);
    EXPECT_EQ(checkpoints().size(), 1U);
    const nlohmann::json summary =
        nlohmann::json::parse(std::ifstream(run_folder() + "/summary.json"));
    EXPECT_EQ(summary["status"], "interrupted");
    const CommandResult resumed =
        train({"--resume", "--json", "--max-steps", "1", "--set", "train.epochs=1000000", "--set",
               "train.evaluate_every=1000000"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(resumed.json()["steps"], steps + 1);
  }
}

TEST_F(InterruptedRun, a_second_run_on_the_same_folder_is_exit_2) {
  BackgroundRun first(endless());
  ASSERT_TRUE(first.wait_for(run_folder() + "/log.jsonl", "\"step\":1"))
      << first.end_with(SIGKILL).err;
  expect_failure(train(), 2, {run_folder(), "in use"});
  expect_failure(train({"--resume"}), 2, {run_folder(), "in use"});
  EXPECT_EQ(first.end_with(SIGTERM).exit_code, 0);
  // Free again, but it holds a run.
  expect_failure(train(), 2, {run_folder(), "--resume"});
}

TEST_F(InterruptedRun, a_damaged_checkpoint_falls_back_and_two_are_exit_3) {
  train_two_epochs();
  damage(checkpoints()[1], 9);
  const CommandResult fell_back = train({"--resume", "--json", "--set", "train.epochs=2"});
  ASSERT_EQ(fell_back.exit_code, 0) << fell_back.err;
  EXPECT_NE(fell_back.err.find("SHA-256 does not match"), std::string::npos) << fell_back.err;
  EXPECT_NE(fell_back.err.find("previous generation"), std::string::npos) << fell_back.err;
  EXPECT_EQ(fell_back.json()["steps"], 4);
  for (const std::string& path : checkpoints()) damage(path, 9);
  expect_failure(resume(), 3,
                 {"no checkpoint is intact", checkpoints()[0], "SHA-256 does not match"});
}

TEST_F(InterruptedRun, truncated_checkpoints_are_exit_3) {
  train_two_epochs();
  for (const std::string& path : checkpoints()) {
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  }
  expect_failure(resume(), 3, {checkpoints()[1], "truncated"});
  for (const std::string& path : checkpoints()) std::filesystem::resize_file(path, 20);
  expect_failure(resume(), 3, {checkpoints()[1], "is truncated: 20 bytes"});
}

TEST_F(InterruptedRun, a_checkpoint_of_another_net_or_another_run_is_exit_2) {
  train_two_epochs();
  expect_failure(resume({"--set", "net.filters=3"}), 2, {"checkpoint of another net"});
  expect_failure(resume({"--set", "train.batch=1"}), 2, {run_folder(), "configuration differs"});
  expect_failure(resume({"--set", "train.optimizer={name=\"sgd\", rate=0.1}"}), 2, {run_folder()});
  EXPECT_EQ(resume().exit_code, 0);
}

TEST_F(InterruptedRun, a_data_set_that_changed_in_between_is_exit_3) {
  train_two_epochs();
  const std::string label = data_ / "labelsTr/c1.nii.gz";
  const std::vector<std::byte> original = read_bytes(label);
  write_label_map(label, make_header({8, 8, 8}, VoxelType::u8), std::vector<uint8_t>(512, 0));
  expect_failure(resume(), 3, {data_.path(), "has changed"});
  std::vector<std::byte> edited = original;
  edited[edited.size() - 8] ^= std::byte{1};
  write_bytes(label, edited);
  expect_failure(resume(), 3, {data_.path(), "has changed"});
  write_bytes(label, original);
  EXPECT_EQ(resume().exit_code, 0);
  write_text(data_ / "dataset.json", brain_description(3));
  expect_failure(resume({"--set", "train.epochs=4"}), 3, {data_.path(), "has changed"});
}

TEST_F(InterruptedRun, a_damaged_model_is_exit_3_for_predict_and_evaluate) {
  train_two_epochs();
  const std::string model = run_folder() + "/model.safetensors";
  const std::string image = data_ / "imagesTr/c0.nii.gz";
  std::filesystem::resize_file(model, std::filesystem::file_size(model) - 7);
  expect_failure(run_binary({"predict", run_folder(), image, "--out", folder_ / "out"}), 3,
                 {model, "truncated"});
  expect_failure(run_binary({"evaluate", run_folder(), "--split", "validation"}), 3,
                 {model, "truncated"});
  write_text(model, "short");
  expect_failure(run_binary({"info", model}), 3, {model, "no safetensors file"});
}

}  // namespace
}  // namespace wholemount::testing
