// Evaluating a run equals evaluating the label maps it predicts.

#include "tests/cli/small_run.h"

namespace wholemount::testing {
namespace {

class EvaluateRun : public SmallRun {
 protected:
  void train_on(const std::string& target) const {
    const CommandResult result =
        train({"--set", "data.target=" + target, "--set", "train.epochs=20", "--set",
               "train.evaluate_every=20", "--set", "train.optimizer={name=\"adam\", rate=0.02}"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  [[nodiscard]] nlohmann::json evaluate_run(const std::string& more = "--json") const {
    const CommandResult result =
        run_binary({"evaluate", run_folder(), "--split", "validation", "--json", more});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }
  // Of the map predicted for the run's only validation case.
  [[nodiscard]] nlohmann::json evaluate_prediction(const nlohmann::json& of_run,
                                                   const std::string& labels) const {
    const nlohmann::json& files = of_run["metric_per_case"][0];
    const CommandResult predicted =
        run_binary({"predict", run_folder(), files["prediction_file"], "--out", folder_ / "maps"});
    EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
    const CommandResult result = run_binary(
        {"evaluate", folder_ / "maps", files["reference_file"], "--labels", labels, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }
  // Of one label of the only case.
  static void expect_same(const nlohmann::json& a, const std::string& a_key,
                          const nlohmann::json& b, const std::string& b_key) {
    for (const char* name : {"TP", "FP", "FN", "TN", "Dice", "NSD", "HD95", "VolumeError"}) {
      EXPECT_EQ(a["metric_per_case"][0]["metrics"][a_key][name],
                b["metric_per_case"][0]["metrics"][b_key][name])
          << a_key << " " << name;
    }
  }
};

TEST_F(EvaluateRun, of_all_classes_equals_evaluation_of_its_label_map) {
  train_on("labels");
  const nlohmann::json of_run = evaluate_run();
  const nlohmann::json of_map = evaluate_prediction(of_run, "1,2,3");
  expect_same(of_run, "edema", of_map, "1");
  expect_same(of_run, "non-enhancing tumor", of_map, "2");
  expect_same(of_run, "enhancing tumour", of_map, "3");
  EXPECT_GT(of_run["foreground_mean"]["Dice"], 0.0);
}

TEST_F(EvaluateRun, of_a_region_equals_evaluation_of_its_label_map_and_adds_soft_dice) {
  train_on("whole-tumour");
  const nlohmann::json of_run = evaluate_run();
  // The map of one region holds 1 inside; the reference 1, 2 and 3.
  const nlohmann::json metrics = of_run["metric_per_case"][0]["metrics"]["whole-tumour"];
  EXPECT_FALSE(metrics["NSD"].is_null());
  const double soft = metrics["SoftDice"];
  EXPECT_GT(soft, 0.0);
  EXPECT_LT(soft, 1.0);
  EXPECT_NE(metrics["SoftDice"], metrics["Dice"]);
  // One case: pooled and per case are the same numbers.
  EXPECT_EQ(of_run["pooled"]["whole-tumour"]["SoftDice"], metrics["SoftDice"]);
  EXPECT_EQ(of_run["pooled"]["whole-tumour"]["Dice"], metrics["Dice"]);
  const nlohmann::json without = evaluate_run("--no-surfaces");
  EXPECT_TRUE(without["mean"]["whole-tumour"]["NSD"].is_null());
  EXPECT_EQ(without["mean"]["whole-tumour"]["Dice"], of_run["mean"]["whole-tumour"]["Dice"]);
}

}  // namespace
}  // namespace wholemount::testing
