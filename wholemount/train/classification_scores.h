#pragma once

#include <vector>

#include "wholemount/metrics/classification.h"
#include "wholemount/train/job.h"
#include "wholemount/train/segmentation_scores.h"

namespace wholemount {

/// Who was taken for whom, from the samples of an evaluation of whole images.
[[nodiscard]] ConfusionMatrix confusion_matrix(const TaskSpec& task,
                                               const std::vector<LossAndCounts::Counts>& images);

/// Scores of a set of whole images: "top-1", "top-5" (more than five classes only),
/// "recall/<class>" (undefined without images of the class) and "balanced" (the mean of the
/// recalls).
[[nodiscard]] Scores classification_scores(const TaskSpec& task,
                                           const std::vector<LossAndCounts::Counts>& images);

/// The scores of a task of either kind.
[[nodiscard]] Scores task_scores(const TaskSpec& task,
                                 const std::vector<LossAndCounts::Counts>& samples);

/// The score that is called the best when it is largest: "Dice" or "top-1".
[[nodiscard]] const char* main_metric(const TaskSpec& task);

}  // namespace wholemount
