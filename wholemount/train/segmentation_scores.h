#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/train/job.h"
#include "wholemount/train/update_runner.h"

namespace wholemount {

/// Scores of a set of cases, from hard overlap counts: the names are "Dice" (mean over the
/// foreground outputs) and "Dice/<output>" (mean over cases), "accuracy" (all voxels, paper A's).
/// Undefined (no case with truth or prediction) is nullopt.
using Scores = std::map<std::string, std::optional<double>>;

/// A case's Dice of one output is 2 I / (P + T); undefined, and left out of the mean, where truth
/// and prediction are both empty.
[[nodiscard]] Scores segmentation_scores(const TaskSpec& task,
                                         const std::vector<LossAndCounts::Counts>& cases);

}  // namespace wholemount
