#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/metrics/overlap.h"

namespace wholemount {

/// Everything about one label of one case; undefined metrics have no value.
struct LabelScores {
  OverlapCounts counts;
  std::optional<double> nsd;      ///< normalised surface Dice (metrics/surface.h)
  std::optional<double> hd95_mm;  ///< 95th percentile of surface distances
  /// Over probabilities, where they are known (evaluation of a run, not of label maps).
  std::optional<SoftSums> soft;
};

struct CaseScores {
  std::string prediction_file;
  std::string reference_file;
  std::vector<LabelScores> labels;
};

/// The scores of a set of cases.
struct ScoreSummary {
  std::vector<std::string> label_names;  ///< key of each label
  /// Leaves the first label out of `foreground_mean` (true for all classes, false for regions).
  bool first_is_background = true;
  std::vector<CaseScores> cases;
};

/// A metric of one label of one case by its name in the summary: Dice, IoU, Sensitivity, Precision,
/// Accuracy, VolumeError, NSD, HD95, SoftDice, TP, FP, FN, TN, n_pred, n_ref. All but SoftDice are
/// hard: of voxels decided one way or the other.
[[nodiscard]] std::optional<double> score_by_name(const LabelScores& scores,
                                                  const std::string& name);
[[nodiscard]] const std::vector<std::string>& score_names();

/// Mean of a metric over the cases where it is defined.
[[nodiscard]] std::optional<double> mean_score(const ScoreSummary& summary, size_t label,
                                               const std::string& name);

/// Mean over the foreground labels of their means.
[[nodiscard]] std::optional<double> foreground_mean_score(const ScoreSummary& summary,
                                                          const std::string& name);

/// A metric of a label over the voxels of all cases taken as one (sums first, then one ratio, as in
/// paper A's batch-pooled Dice): Dice, IoU, Sensitivity, Precision, Accuracy, VolumeError,
/// SoftDice.
[[nodiscard]] std::optional<double> pooled_score(const ScoreSummary& summary, size_t label,
                                                 const std::string& name);
[[nodiscard]] const std::vector<std::string>& pooled_score_names();

/// JSON in the shape of nnU-Net's summary.json: foreground_mean, mean {label: metrics},
/// metric_per_case [{metrics, prediction_file, reference_file}], all of them per case or means of
/// per-case values; and beside them pooled {label: metrics} and pooled_dice {label: value}, over
/// the voxels of all cases. Undefined metrics are null; SoftDice is there where it is known.
[[nodiscard]] std::string to_json(const ScoreSummary& summary);

}  // namespace wholemount
