#include "wholemount/predict/score_summary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wholemount {
namespace {

ScoreSummary two_cases() {
  ScoreSummary summary;
  summary.label_names = {"background", "tumour", "edema"};
  summary.cases.push_back({"p/a.nii.gz",
                           "r/a.nii.gz",
                           {{{90, 1, 1, 8}, {}, {}, {}},
                            {{6, 2, 4, 88}, 0.75, 2.5, {}},
                            {{0, 0, 0, 100}, {}, {}, {}}}});
  summary.cases.push_back({"p/b.nii.gz",
                           "r/b.nii.gz",
                           {{{80, 5, 5, 10}, {}, {}, {}},
                            {{10, 0, 0, 90}, 1.0, 0.0, {}},
                            {{0, 5, 0, 95}, 0.0, {}, {}}}});
  return summary;
}

TEST(ScoreSummary, means_leave_undefined_cases_out) {
  const ScoreSummary summary = two_cases();
  EXPECT_DOUBLE_EQ(*mean_score(summary, 1, "Dice"), (12.0 / 18 + 1) / 2);
  EXPECT_DOUBLE_EQ(*mean_score(summary, 2, "Dice"), 0.0) << "the empty case has no Dice";
  EXPECT_DOUBLE_EQ(*mean_score(summary, 1, "HD95"), 1.25);
  EXPECT_FALSE(mean_score(summary, 2, "HD95"));
  EXPECT_DOUBLE_EQ(*foreground_mean_score(summary, "Dice"), (12.0 / 18 + 1) / 4);
}

TEST(ScoreSummary, json_has_the_shape_of_nnunet_summaries_and_null_for_undefined) {
  const auto json = nlohmann::json::parse(to_json(two_cases()));
  EXPECT_DOUBLE_EQ(json["mean"]["tumour"]["NSD"].get<double>(), 0.875);
  EXPECT_TRUE(json["mean"]["edema"]["HD95"].is_null());
  EXPECT_DOUBLE_EQ(json["foreground_mean"]["IoU"].get<double>(), (0.5 + 1) / 4);
  ASSERT_EQ(json["metric_per_case"].size(), 2U);
  const auto& first = json["metric_per_case"][0];
  EXPECT_EQ(first["prediction_file"], "p/a.nii.gz");
  EXPECT_TRUE(first["metrics"]["edema"]["Dice"].is_null());
  EXPECT_EQ(first["metrics"]["tumour"]["TP"], 6);
  EXPECT_EQ(first["metrics"]["tumour"]["n_pred"], 8);
  EXPECT_EQ(first["metrics"]["tumour"]["n_ref"], 10);
  EXPECT_DOUBLE_EQ(json["pooled_dice"]["tumour"].get<double>(), 32.0 / 38.0);
  EXPECT_FALSE(json["mean"]["tumour"].contains("SoftDice"));
}

TEST(ScoreSummary, pooled_metrics_are_ratios_of_sums_and_stand_apart_from_means) {
  const auto json = nlohmann::json::parse(to_json(two_cases()));
  const auto& pooled = json["pooled"]["tumour"];
  // tp 16, fp 2, fn 4, tn 178.
  EXPECT_DOUBLE_EQ(pooled["Dice"].get<double>(), 32.0 / 38.0);
  EXPECT_DOUBLE_EQ(pooled["IoU"].get<double>(), 16.0 / 22.0);
  EXPECT_DOUBLE_EQ(pooled["Sensitivity"].get<double>(), 16.0 / 20.0);
  EXPECT_DOUBLE_EQ(pooled["Precision"].get<double>(), 16.0 / 18.0);
  EXPECT_DOUBLE_EQ(pooled["Accuracy"].get<double>(), 194.0 / 200.0);
  EXPECT_DOUBLE_EQ(pooled["VolumeError"].get<double>(), -2.0 / 20.0);
  EXPECT_TRUE(json["pooled"]["edema"]["Sensitivity"].is_null());
}

TEST(ScoreSummary, soft_dice_is_apart_from_dice_per_case_and_pooled) {
  ScoreSummary summary = two_cases();
  summary.cases[0].labels[1].soft = SoftSums{3.0, 5.0, 10.0};
  summary.cases[1].labels[1].soft = SoftSums{8.0, 9.0, 10.0};
  const auto json = nlohmann::json::parse(to_json(summary));
  const auto& mean = json["mean"]["tumour"];
  EXPECT_DOUBLE_EQ(mean["SoftDice"].get<double>(), (6.0 / 15.0 + 16.0 / 19.0) / 2);
  EXPECT_DOUBLE_EQ(mean["Dice"].get<double>(), (12.0 / 18 + 1) / 2);
  EXPECT_DOUBLE_EQ(json["pooled"]["tumour"]["SoftDice"].get<double>(), 22.0 / 34.0);
  EXPECT_TRUE(json["mean"]["edema"]["SoftDice"].is_null());
}

}  // namespace
}  // namespace wholemount
