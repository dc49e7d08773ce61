#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "wholemount/predict/score_summary.h"

namespace wholemount {

/// What is scored as one thing: a label value, or a region of several.
struct EvaluationLabel {
  std::string key;   ///< in summary.json: "2"; a region: "(1, 2, 3)", both as nnU-Net writes them
  std::string name;  ///< for people; equal to the key where nothing better is known
  std::vector<uint8_t> values;  ///< rising, not empty
};

/// Sorts the values, drops doubles and derives the key; `name` may be empty.
[[nodiscard]] EvaluationLabel make_evaluation_label(std::vector<uint8_t> values,
                                                    const std::string& name = {});

struct Evaluation {
  std::vector<EvaluationLabel> labels;  ///< a background label first
  /// Scores of the labels in this order, named by their keys; cases in the order of file names.
  ScoreSummary summary;
};

struct EvaluationSpec {
  /// What to score. A value ("2"), values joined by "+" ("1+2+3"), or a name that the data set the
  /// references belong to knows (see make_target in data/target.h). Empty: every value but 0 that
  /// occurs in any file.
  std::vector<std::string> labels;
  /// Score the cases that are predicted; otherwise a reference without prediction is an error.
  bool partial = false;
  /// NSD and HD95, too; a second reading of each case.
  bool surfaces = true;
  double tolerance_mm = 1.0;  ///< of NSD
  /// Called after each reading of a case with the number of readings done and that of all.
  std::function<void(size_t, size_t)> progress;
};

/// Compares label maps (NIfTI). Both paths are folders, whose files are matched by name (.nii,
/// .nii.gz, .hdr alike; hidden and other files are skipped, subfolders too), or single files; with
/// one of each, the folder's file of the same name is taken.
/// Throws FileError: a path is missing or holds no volume, a counterpart is missing, two files of a
/// folder have one name, or what count_label_pairs throws. ConfigError: an unknown label.
/// Memory: two planes (count_label_pairs), whatever the number of cases; with surfaces two label
/// maps of 1 byte a voxel and what surface_distances needs (metrics/surface.h).
[[nodiscard]] Evaluation evaluate_label_maps(const std::string& predictions,
                                             const std::string& references,
                                             const EvaluationSpec& spec);

}  // namespace wholemount
