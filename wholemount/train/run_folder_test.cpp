#include "wholemount/train/run_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

class RunFolders : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("run_" + std::to_string(getpid()) + "_" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name())) /
              "runs" / "one";
    fs::remove_all(folder_.parent_path().parent_path());
  }
  void TearDown() override { fs::remove_all(folder_.parent_path().parent_path()); }

  [[nodiscard]] std::string read(const char* name) const {
    std::ifstream stream(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  fs::path folder_;
};

TEST_F(RunFolders, folder_is_made_with_parents_and_files_are_replaced) {
  const RunFolder run(folder_, RunFolder::Mode::fresh);
  run.write(RunFolderNames::kConfig, "a = 1\n");
  run.write(RunFolderNames::kConfig, "a = 2\n");
  EXPECT_EQ(read("config.toml"), "a = 2\n");
}

TEST_F(RunFolders, folder_in_use_is_refused_with_the_holder) {
  RunFolder run(folder_, RunFolder::Mode::fresh);
  const RunFolder moved = std::move(run);
  for (const RunFolder::Mode mode : {RunFolder::Mode::fresh, RunFolder::Mode::resume}) {
    try {
      const RunFolder second(folder_, mode);
      ADD_FAILURE() << "two owners";
    } catch (const ConfigError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("in use by process " + std::to_string(getpid())), std::string::npos)
          << message;
    }
  }
}

TEST_F(RunFolders, lock_ends_with_its_owner) {
  { const RunFolder run(folder_, RunFolder::Mode::fresh); }
  const RunFolder again(folder_, RunFolder::Mode::fresh);
  EXPECT_EQ(again.path(), folder_);
}

TEST_F(RunFolders, lock_does_not_outlive_a_killed_process) {
  const pid_t child = fork();
  if (child == 0) {
    const RunFolder run(folder_, RunFolder::Mode::fresh);
    _exit(0);  // no destructor runs
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_NO_THROW(RunFolder(folder_, RunFolder::Mode::fresh));
}

TEST_F(RunFolders, folder_with_a_run_needs_resume) {
  {
    RunFolder run(folder_, RunFolder::Mode::fresh);
    run.write(RunFolderNames::kConfig, "");
  }
  {
    // A run that failed before its first step is no obstacle.
    RunFolder run(folder_, RunFolder::Mode::fresh);
    run.append_log(R"({"step":1})");
  }
  EXPECT_THROW(RunFolder(folder_, RunFolder::Mode::fresh), ConfigError);
  {
    const RunFolder run(folder_, RunFolder::Mode::resume);
    run.write(RunFolderNames::kSummary, R"({"status": "done"})");
    EXPECT_EQ(run.summary_status(), "done");
  }
  fs::remove(folder_ / "log.jsonl");
  EXPECT_THROW(RunFolder(folder_, RunFolder::Mode::fresh), ConfigError);
}

TEST_F(RunFolders, cut_and_continued_log_equals_the_uninterrupted_one) {
  const auto line = [](int64_t step) { return "{\"step\":" + std::to_string(step) + "}"; };
  std::string uninterrupted;
  {
    RunFolder run(folder_, RunFolder::Mode::fresh);
    for (int64_t step = 1; step <= 9; ++step) {
      uninterrupted += line(step) + "\n";
      if (step <= 7) {
        run.append_log(line(step));
      }
      if (step == 5) {
        uninterrupted += "{\"event\":\"evaluation\",\"step\":5}\n";
        run.append_log("{\"event\":\"evaluation\",\"step\":5}");
      }
    }
    run.sync_log();
    std::ofstream(folder_ / "log.jsonl", std::ios::app) << "{\"step\":8,\"lo";  // torn by a crash
  }
  RunFolder run(folder_, RunFolder::Mode::resume);
  run.append_log(line(8));
  run.cut_log(5);
  for (int64_t step = 6; step <= 9; ++step) {
    run.append_log(line(step));
  }
  EXPECT_EQ(read("log.jsonl"), uninterrupted);
}

TEST_F(RunFolders, cutting_without_a_log_is_nothing) {
  RunFolder run(folder_, RunFolder::Mode::fresh);
  run.cut_log(3);
  EXPECT_FALSE(fs::exists(folder_ / "log.jsonl"));
  EXPECT_EQ(run.summary_status(), std::nullopt);
}

TEST_F(RunFolders, lines_reach_the_file_at_once) {
  RunFolder run(folder_, RunFolder::Mode::fresh);
  run.append_log("{}");
  EXPECT_EQ(read("log.jsonl"), "{}\n");
}

TEST_F(RunFolders, file_in_the_way_is_an_output_error) {
  fs::create_directories(folder_.parent_path());
  std::ofstream(folder_) << "x";
  EXPECT_THROW(RunFolder(folder_, RunFolder::Mode::fresh), OutputError);
}

}  // namespace
}  // namespace wholemount
