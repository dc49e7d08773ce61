#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/cli/run_binary.h"

namespace wholemount::testing {
namespace {

namespace fs = std::filesystem;

/// A small training job whose activations are most of its memory.
class Memory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kAddressSanitizer || kThreadSanitizer) {
      GTEST_SKIP() << "the sanitizer's own bytes are more than the budgets of these tests";
    }
    const CommandResult made = run_binary(
        {"synth", "brain", folder_ / "data", "--cases", "3", "--shape", "48x64x64", "--seed", "5"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    std::ofstream(folder_ / "config.toml")
        << "[data]\nroot = \"" << folder_ / "data"
        << "\"\nchannels = [\"FLAIR\"]\ntarget = \"whole-tumour\"\n"
           "split = { seed = 1, train = 0.7, validation = 0.3, test = 0.0 }\n"
           "[net]\nfilters = 16\nlevels = 3\n[train]\nepochs = 1\nbatch = 2\n";
    // Not the folder above, which may be in memory (tmpfs).
    spill_ = fs::current_path() / ("memory_test_spill." + std::to_string(getpid()));
    fs::create_directory(spill_);
    scratch_ = spill_;
  }
  void TearDown() override { fs::remove_all(scratch_); }

  CommandResult train(const std::string& out, const std::string& memory) {
    return run_binary({"train", folder_ / "config.toml", "--out", folder_ / out, "--memory", memory,
                       "--set", "memory.spill=" + spill_.string(), "--json"});
  }
  static std::string smallest_budget(const CommandResult& refused) {
    const std::string before = "The smallest budget that works is ";
    const size_t at = refused.err.find(before);
    EXPECT_NE(at, std::string::npos) << refused.err;
    return std::to_string(std::stoull(refused.err.substr(at + before.size())));
  }

  TemporaryFolder folder_;
  fs::path spill_;
  fs::path scratch_;
};

TEST_F(Memory, a_budget_that_cannot_be_met_is_refused_with_the_smallest_that_works_and_that_works) {
  const CommandResult refused = train("refused", "24M");
  expect_failure(refused, 4, {"needs at least", "24.00 MiB", "The smallest budget that works is"});
  EXPECT_FALSE(fs::exists(folder_ / "refused/checkpoint")) << "refused before anything was begun";
  const std::string smallest = smallest_budget(refused);
  expect_failure(train("below", std::to_string(std::stoull(smallest) * 9 / 10)), 4, {"smallest"});

  const CommandResult tight = train("tight", smallest);
  ASSERT_EQ(tight.exit_code, 0) << tight.err;
  const CommandResult roomy = train("roomy", "4G");
  ASSERT_EQ(roomy.exit_code, 0) << roomy.err;
  EXPECT_EQ(tight.json()["weights_digest"], roomy.json()["weights_digest"]);
  EXPECT_LT(std::stod(smallest), 0.7 * roomy.json()["measured_peak_bytes"].get<double>());
  // Evaluation, checkpoint and report are part of the run that was measured.
  EXPECT_LE(tight.json()["measured_peak_bytes"].get<double>(), 1.02 * std::stod(smallest));
  EXPECT_TRUE(fs::is_empty(spill_)) << "something was left in the scratch folder";
}

TEST_F(Memory, half_is_only_taken_where_it_is_allowed_and_is_said_not_to_be_exact) {
  const auto run = [&](const std::string& command, const std::string& memory, bool half) {
    std::vector<std::string> arguments{command, folder_ / "config.toml", "--memory", memory};
    if (half) arguments.insert(arguments.end(), {"--set", "memory.half=true"});
    if (command == "train") {
      arguments.insert(arguments.end(),
                       {"--json", "--out", folder_ / (memory + (half ? "half" : "exact"))});
    }
    return run_binary(arguments);
  };
  const std::string exact_floor = smallest_budget(run("plan", "24M", false));
  const std::string half_floor = smallest_budget(run("plan", "24M", true));
  EXPECT_LT(std::stod(half_floor), std::stod(exact_floor));

  const CommandResult plan = run("plan", half_floor, true);
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("not exact: memory.half"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("as bfloat16"), std::string::npos) << plan.out;
  const CommandResult half = run("train", half_floor, true);
  ASSERT_EQ(half.exit_code, 0) << half.err;
  EXPECT_LE(half.json()["measured_peak_bytes"].get<double>(), 1.02 * std::stod(half_floor));
  // With room for everything nothing is rounded, allowed or not.
  const CommandResult exact = run("train", "4G", false);
  const CommandResult roomy = run("train", "4G", true);
  EXPECT_EQ(roomy.json()["weights_digest"], exact.json()["weights_digest"]);
  EXPECT_NE(half.json()["weights_digest"], exact.json()["weights_digest"]);
  EXPECT_NEAR(half.json()["loss"].get<double>(), exact.json()["loss"].get<double>(),
              0.01 * exact.json()["loss"].get<double>());
}

// Steps that run again belong to the plan's graph, not to the network's.
TEST_F(Memory, a_step_under_the_smallest_budget_is_measured_node_by_node) {
  const auto bench = [&](const std::string& memory) {
    return run_binary({"bench", "step", folder_ / "config.toml", "--memory", memory, "--rounds",
                       "1", "--set", "memory.spill=" + spill_.string()});
  };
  const CommandResult measured = bench(smallest_budget(bench("24M")));
  EXPECT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_NE(measured.out.find("conv_forward"), std::string::npos) << measured.out;
}

TEST_F(Memory, a_prediction_keeps_its_budget_too_and_writes_the_same_map) {
  const CommandResult trained = train("run", "4G");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  fs::path image;
  for (const auto& entry : fs::directory_iterator(folder_ / "data/imagesTr")) image = entry.path();
  const auto predict = [&](const std::string& out, const std::string& memory) {
    return run_binary({"predict", folder_ / "run", image, "--out", folder_ / out, "--memory",
                       memory, "--spill", spill_, "--json"});
  };
  const auto map_of = [&](const std::string& out) {
    std::ifstream file(folder_ / out / image.filename(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const CommandResult roomy = predict("roomy", "4G");
  ASSERT_EQ(roomy.exit_code, 0) << roomy.err;
  const CommandResult refused = predict("refused", "16M");
  expect_failure(refused, 4, {"needs at least", "The smallest budget that works is"});
  const std::string smallest = smallest_budget(refused);
  expect_failure(predict("below", std::to_string(std::stoull(smallest) * 8 / 10)), 4, {"smallest"});

  const CommandResult tight = predict("tight", smallest);
  ASSERT_EQ(tight.exit_code, 0) << tight.err;
  EXPECT_FALSE(map_of("roomy").empty());
  EXPECT_EQ(map_of("tight"), map_of("roomy"));
  EXPECT_LT(std::stod(smallest), 0.9 * roomy.json()["measured_peak_bytes"].get<double>());
  EXPECT_LE(tight.json()["measured_peak_bytes"].get<double>(), 1.02 * std::stod(smallest));
  EXPECT_TRUE(fs::is_empty(spill_)) << "something was left in the scratch folder";
}

TEST_F(Memory, a_sweep_measures_what_it_predicts) {
  const CommandResult swept =
      run_binary({"plan", folder_ / "config.toml", "--sweep", "net.filters=4,8", "--measure",
                  "--figure", folder_ / "sweep.html", "--json"});
  ASSERT_EQ(swept.exit_code, 0) << swept.err;
  const nlohmann::json points = swept.json()["points"];
  ASSERT_EQ(points.size(), 2);
  for (const nlohmann::json& point : points) {
    const double predicted = point["peak_bytes"];
    const double measured = point["measured_peak_bytes"];
    // What the allocator and the kernel's code pages add or leave differs by a few MiB.
    EXPECT_NEAR(measured, predicted, 0.05 * predicted + (4 << 20));
    EXPECT_GT(point["measured_step_seconds"].get<double>(), 0);
  }
}

TEST_F(Memory, a_sweep_chooses_budgets_from_the_floor_to_what_the_job_takes_without_one) {
  const auto plan_with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "plan",     folder_ / "config.toml", "--set", "memory.spill=" + spill_.string(), "--json",
        "--figure", folder_ / "sweep.html"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult planned = run_binary(arguments);
    EXPECT_EQ(planned.exit_code, 0) << planned.err;
    return planned.json();
  };
  const nlohmann::json points = plan_with({"--sweep", "memory.budget"})["points"];
  ASSERT_EQ(points.size(), 10);
  for (const nlohmann::json& point : points) EXPECT_TRUE(point["fits"]) << point.dump(2);
  const CommandResult refused = train("refused", "24M");
  // Budgets are chosen in whole MiB, upwards.
  const std::string lowest = points.front()["settings"]["memory.budget"];
  EXPECT_NEAR(std::stod(lowest), std::stod(smallest_budget(refused)) / (1U << 20U), 1.0) << lowest;
  // The arena: what a process is beside it grows with what it has planned before.
  EXPECT_EQ(points.back()["arena_bytes"], plan_with({"--memory", "100G"})["arena_bytes"]);
  EXPECT_LT(points.back()["step_seconds"], points.front()["step_seconds"]);
}

TEST_F(Memory, a_sweep_of_budgets_refuses_another_word_about_them) {
  const auto sweep_with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"plan", folder_ / "config.toml", "--sweep",
                                          "memory.budget"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_binary(arguments);
  };
  expect_failure(sweep_with({"--memory", "1G"}), 2, {"--sweep memory.budget", "--memory"});
  expect_failure(sweep_with({"--sweep", "memory.budget"}), 2, {"memory.budget is given twice"});
}

TEST_F(Memory, scratch_space_in_memory_is_refused) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  spill_ = "/dev/shm";
  const std::string smallest = smallest_budget(train("refused", "24M"));
  expect_failure(train("shm", smallest), 5, {"/dev/shm", "tmpfs"});
}

}  // namespace
}  // namespace wholemount::testing
