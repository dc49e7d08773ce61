#include "wholemount/train/segmentation_scores.h"

namespace wholemount {

namespace {

std::optional<double> mean(const std::vector<double>& values) {
  if (values.empty()) {
    return std::nullopt;
  }
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

}  // namespace

Scores segmentation_scores(const TaskSpec& task, const std::vector<LossAndCounts::Counts>& cases) {
  Scores scores;
  const bool classes = task.target == TargetKind::classes;
  std::vector<double> foreground;
  for (size_t k = classes ? 1 : 0; k < task.outputs.size(); ++k) {
    std::vector<double> dice;
    for (const LossAndCounts::Counts& c : cases) {
      const double sizes = c.predicted[k] + c.truth[k];
      if (sizes > 0) {
        dice.push_back(2 * c.intersection[k] / sizes);
      }
    }
    const std::optional<double> score = mean(dice);
    scores["Dice/" + task.outputs[k]] = score;
    if (score.has_value()) {
      foreground.push_back(*score);
    }
  }
  scores["Dice"] = mean(foreground);
  // Regions: a voxel counts once per region; classes: once.
  double right = 0;
  double all = 0;
  for (const LossAndCounts::Counts& c : cases) {
    for (size_t k = 0; k < task.outputs.size(); ++k) {
      right += classes ? c.intersection[k]
                       : c.voxels - c.predicted[k] - c.truth[k] + 2 * c.intersection[k];
      all += classes && k > 0 ? 0 : c.voxels;
    }
  }
  scores["accuracy"] = all > 0 ? std::optional(right / all) : std::nullopt;
  return scores;
}

}  // namespace wholemount
