#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/metrics/overlap.h"
#include "wholemount/report/overlay.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

/// How a validation case was segmented.
struct ScoredCase {
  std::string id;
  int64_t case_index = 0;
  std::vector<OverlapCounts> counts;        ///< by output
  std::vector<std::optional<double>> dice;  ///< by shown output
  std::optional<double> mean_dice;          ///< over the shown outputs where it is defined
  double truth_ml = 0;                      ///< volume of all shown outputs' truth, in ml
  double predicted_ml = 0;
};

/// A scored case with its voxels, for pictures.
struct SampleCase {
  ScoredCase scores;
  std::string which;  ///< "worst", "median", "best"
  std::string channel_name;
  std::string prediction_file;  ///< as written
  LabelledVolume volume;
};

/// What the network does on the validation cases.
struct CaseStudy {
  std::vector<std::string> outputs;  ///< the shown ones: all regions, or all classes but the first
  std::vector<ScoredCase> cases;     ///< worst mean Dice first; undefined ones last
  std::vector<SampleCase> samples;
  int64_t num_validation_cases = 0;  ///< in the split; `cases` holds at most kMaxScored
  std::string weights;               ///< where they come from, for people
};

struct CaseStudySpec {
  std::string run_folder;
  int64_t num_samples = 3;
  std::string out_folder;  ///< for the samples' label maps
  ThreadPool* pool = nullptr;
  size_t arena_budget_bytes = SIZE_MAX;                   ///< see PlanSpec
  std::function<void(size_t done, size_t all)> progress;  ///< may be empty
};

constexpr int64_t kMaxScored = 200;

/// Predicts the validation cases of `data` with the run's model (model.safetensors, or the last
/// checkpoint of a run that has none yet), scores them, and loads `num_samples` of them, spread
/// evenly from the worst to the best. Writes the samples' label maps as `predict` does.
/// Memory: one arena of the largest case, two staging slots, 6 bytes a voxel of each sample.
/// Throws FileError (no weights; damaged cases), ConfigError (the model is of another net),
/// MemoryBudgetError when the cases do not fit into what is free, OutputError.
[[nodiscard]] CaseStudy study_cases(const DataJob& data, const CaseStudySpec& spec);

/// Positions in a list of `num_cases` sorted from worst to best: the first, the last, and evenly
/// chosen ones between (3 of 11: 0, 5, 10).
[[nodiscard]] std::vector<size_t> sample_positions(size_t num_cases, int64_t num_samples);

}  // namespace wholemount
