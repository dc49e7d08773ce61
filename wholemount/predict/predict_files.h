#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/data/case_stream.h"
#include "wholemount/exec/session.h"
#include "wholemount/predict/inference_programs.h"

namespace wholemount {

/// What a prediction needs to know beside the weights.
struct PredictSpec {
  Network network;
  TargetKind target = TargetKind::classes;
  /// classes: the stored label value of each output.
  std::vector<uint8_t> label_values;
  LoadSpec load;  ///< without target and augmentation
  bool probabilities = false;
  std::string out_folder;
  std::string spill_folder;  ///< where values are spilled that the budget has no room for
};

/// Predicted bytes of the whole process.
struct PredictPlan {
  size_t baseline_bytes = 0;
  size_t parameter_bytes = 0;
  size_t arena_bytes = 0;
  size_t data_bytes = 0;
  size_t spill_bytes = 0;   ///< of the spill file to reserve
  size_t budget_bytes = 0;  ///< what was to be met
  double seconds = 0;       ///< of all images together
  StagingPlan staging;
  [[nodiscard]] size_t peak_bytes() const {
    return baseline_bytes + parameter_bytes + arena_bytes + data_bytes;
  }
};

struct PredictedFile {
  std::string input;
  std::string output;         ///< label map
  std::string probabilities;  ///< empty unless asked for
  double seconds = 0;
};

/// Plans the programs for the inputs' shapes (their headers are read) so that the whole process
/// stays within `budget_bytes` where that is possible; where it is not, programs are as small as
/// they can be and peak_bytes() is the least budget that works. Without a budget (SIZE_MAX) the
/// programs keep the arena budget they have. `cases` come from prediction_inputs.
/// Throws FileError.
[[nodiscard]] PredictPlan plan_prediction(const PredictSpec& spec, const std::vector<Case>& cases,
                                          InferencePrograms& programs,
                                          const std::vector<ParameterSpec>& parameters,
                                          size_t budget_bytes = SIZE_MAX);

/// Throws MemoryBudgetError (need, have, largest items, the smallest budget that works) when the
/// plan's peak is above the budget it was made for.
void check_budget(const PredictPlan& plan);

/// Predicts every case as a whole and writes NAME.nii.gz into spec.out_folder with the input's
/// geometry (to the bit); with `probabilities` also NAME_probabilities.nii.gz. Label maps hold the
/// label values of classes, or for regions r + 1 where region r holds, later regions on top of
/// earlier ones. Voxels that a fixed data.shape cut away are 0. `after` is called after each case.
/// Throws FileError, OutputError.
std::vector<PredictedFile> predict_files(const PredictSpec& spec, const PredictPlan& plan,
                                         const std::vector<Case>& cases,
                                         InferencePrograms& programs, ParameterStore& parameters,
                                         ThreadPool& pool,
                                         const std::function<void(const PredictedFile&)>& after);

}  // namespace wholemount
