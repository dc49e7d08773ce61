#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/cli/run_binary.h"

namespace wholemount::testing {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A data set of four small phantoms and a configuration that trains on three of them.
class RunFolderCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_binary({"synth", "brain", folder_ / "data", "--cases", "4", "--shape", "16x24x20",
                          "--seed", "5"})
                  .exit_code,
              0);
    std::ofstream(folder_ / "run.toml")
        << "[data]\nroot = \"" << (folder_ / "data") << "\"\ntarget = \"whole-tumour\"\n"
        << "split = { seed = 1, train = 0.75, validation = 0.25, test = 0.0 }\n"
        << "[net]\nfilters = 4\nlevels = 2\n[train]\nepochs = 2\nbatch = 1\n";
  }
  CommandResult train(std::vector<std::string> more) {
    std::vector<std::string> arguments{"train", folder_ / "run.toml", "--out", folder_ / "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_binary(arguments);
  }
  [[nodiscard]] bool has(const char* name) const {
    return std::filesystem::exists(folder_ / (std::string("run/") + name));
  }
  TemporaryFolder folder_;
};

TEST_F(RunFolderCommands, training_leaves_a_report_events_and_a_readable_log) {
  const CommandResult result = train({"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["report"], folder_ / "run/report.html");
  for (const char* name : {"config.toml", "plan.json", "log.jsonl", "events.out.tfevents",
                           "model.safetensors", "summary.json", "report.html", "report"}) {
    EXPECT_TRUE(has(name)) << name;
  }
  EXPECT_NE(read_text(folder_ / "run/report.html").find("1 of 1 validation cases"),
            std::string::npos);
  // Not a terminal: plain lines.
  EXPECT_NE(result.err.find("epoch 2: validation loss"), std::string::npos) << result.err;
  EXPECT_TRUE(std::all_of(result.err.begin(), result.err.end(), [](char c) {
    return c == '\n' || static_cast<unsigned char>(c) >= ' ';
  })) << result.err;
}

TEST_F(RunFolderCommands, a_stopped_training_reports_without_predicting) {
  ASSERT_EQ(train({"--max-steps", "2"}).exit_code, 0);
  EXPECT_NE(read_text(folder_ / "run/report.html").find("`wholemount report` adds them"),
            std::string::npos);
}

TEST_F(RunFolderCommands, no_report_is_written_when_none_is_wanted) {
  const CommandResult result = train({"--json", "--no-report", "--max-steps", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(result.json().contains("report"));
  EXPECT_FALSE(has("report.html"));
}

TEST_F(RunFolderCommands, a_run_can_be_scored_beside_the_best_threshold) {
  ASSERT_EQ(train({"--no-report", "--max-steps", "1"}).exit_code, 0);
  const CommandResult result =
      run_binary({"evaluate", folder_ / "run", "--split", "validation", "--baseline", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json baseline = result.json()["threshold_baseline"]["whole-tumour"];
  EXPECT_GT(baseline["Dice"], 0.0);
  EXPECT_LT(baseline["Dice"], 1.0);
  EXPECT_TRUE(baseline["side"] == "above" || baseline["side"] == "below");
  EXPECT_TRUE(baseline["channel"].is_string());
  // Files on disk have no images to threshold.
  EXPECT_EQ(
      run_binary({"evaluate", folder_ / "data/labelsTr", folder_ / "data/labelsTr", "--baseline"})
          .exit_code,
      2);
}

TEST(Commands, an_unknown_command_names_the_nearest) {
  const CommandResult result = run_binary({"tran"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("did you mean \"train\"?"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace wholemount::testing
