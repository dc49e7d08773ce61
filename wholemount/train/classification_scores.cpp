#include "wholemount/train/classification_scores.h"

#include <algorithm>

namespace wholemount {

namespace {

constexpr int64_t kTop = 5;

/// The class whose count is not 0: one voxel, one class.
int64_t only_class(const std::vector<double>& counts) {
  return std::max_element(counts.begin(), counts.end()) - counts.begin();
}

}  // namespace

ConfusionMatrix confusion_matrix(const TaskSpec& task,
                                 const std::vector<LossAndCounts::Counts>& images) {
  ConfusionMatrix matrix(static_cast<int64_t>(task.outputs.size()));
  for (const LossAndCounts::Counts& image : images) {
    matrix.add(only_class(image.truth), only_class(image.predicted));
  }
  return matrix;
}

Scores classification_scores(const TaskSpec& task,
                             const std::vector<LossAndCounts::Counts>& images) {
  const ConfusionMatrix matrix = confusion_matrix(task, images);
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? std::optional(static_cast<double>(part) / static_cast<double>(whole))
                     : std::nullopt;
  };
  Scores scores;
  scores["top-1"] = share(matrix.right(), matrix.total());
  if (matrix.classes() > kTop) {
    int64_t near = 0;
    for (const LossAndCounts::Counts& image : images) {
      near += rank_of_truth(image.logits, only_class(image.truth)) < kTop ? 1 : 0;
    }
    scores["top-5"] = share(near, matrix.total());
  }
  double sum = 0;
  int64_t present = 0;
  for (int64_t k = 0; k < matrix.classes(); ++k) {
    const std::optional<double> recall = share(matrix.at(k, k), matrix.of_class(k));
    scores["recall/" + task.outputs[static_cast<size_t>(k)]] = recall;
    sum += recall.value_or(0.0);
    present += recall.has_value() ? 1 : 0;
  }
  scores["balanced"] =
      present > 0 ? std::optional(sum / static_cast<double>(present)) : std::nullopt;
  return scores;
}

Scores task_scores(const TaskSpec& task, const std::vector<LossAndCounts::Counts>& samples) {
  return task.whole_image ? classification_scores(task, samples)
                          : segmentation_scores(task, samples);
}

const char* main_metric(const TaskSpec& task) { return task.whole_image ? "top-1" : "Dice"; }

}  // namespace wholemount
