#include "wholemount/metrics/scores.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wholemount {
namespace {

ScoreSummary two_cases() {
  ScoreSummary summary;
  summary.label_names = {"background", "tumour", "edema"};
  summary.cases.push_back(
      {"p/a.nii.gz",
       "r/a.nii.gz",
       {{{90, 1, 1, 8}, {}, {}}, {{6, 2, 4, 88}, 0.75, 2.5}, {{0, 0, 0, 100}, {}, {}}}});
  summary.cases.push_back(
      {"p/b.nii.gz",
       "r/b.nii.gz",
       {{{80, 5, 5, 10}, {}, {}}, {{10, 0, 0, 90}, 1.0, 0.0}, {{0, 5, 0, 95}, 0.0, {}}}});
  return summary;
}

TEST(Scores, means_leave_undefined_cases_out) {
  const ScoreSummary summary = two_cases();
  EXPECT_DOUBLE_EQ(*mean_score(summary, 1, "Dice"), (12.0 / 18 + 1) / 2);
  EXPECT_DOUBLE_EQ(*mean_score(summary, 2, "Dice"), 0.0) << "the empty case has no Dice";
  EXPECT_DOUBLE_EQ(*mean_score(summary, 1, "HD95"), 1.25);
  EXPECT_FALSE(mean_score(summary, 2, "HD95"));
  EXPECT_DOUBLE_EQ(*foreground_mean_score(summary, "Dice"), (12.0 / 18 + 1) / 4);
}

TEST(Scores, json_has_the_shape_of_nnunet_summaries_and_null_for_undefined) {
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
}

TEST(Scores, labels_are_scored_with_overlap_and_surfaces) {
  const Extent3 extent{4, 4, 4};
  std::vector<uint8_t> prediction(64, 0);
  std::vector<uint8_t> reference(64, 0);
  prediction[21] = 1;
  reference[21] = 1;
  reference[22] = 1;
  const TensorDesc desc = TensorDesc::plain(1, 1, extent, DType::u8);
  const TensorView p = whole_view(desc, reinterpret_cast<std::byte*>(prediction.data()));
  const TensorView t = whole_view(desc, reinterpret_cast<std::byte*>(reference.data()));
  ScoreSpec spec;
  spec.spacing_mm = {1, 1, 2};
  const auto scores = score_labels(p, t, whole_box(extent), spec);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_EQ(scores[1].counts, (OverlapCounts{1, 0, 1, 62}));
  EXPECT_EQ(*scores[1].hd95_mm, 2.0);
  EXPECT_LT(*scores[1].nsd, 1.0);
  EXPECT_FALSE(scores[0].nsd) << "the background has no surface metrics";
  spec.surfaces = false;
  EXPECT_FALSE(score_labels(p, t, whole_box(extent), spec)[1].hd95_mm);
}

}  // namespace
}  // namespace wholemount
