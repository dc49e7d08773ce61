#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "wholemount/predict/predict_files.h"

namespace wholemount {

/// What a network of whole images says about one.
struct PredictedClass {
  std::string id;
  std::string input;                  ///< file of the first channel
  int64_t class_index = 0;            ///< the most probable; of equal ones the first
  std::vector<double> probabilities;  ///< by class; they add up to 1
  double seconds = 0;
};

/// Classifies every case as a whole; `programs` must have been made with probabilities, `plan` by
/// plan_prediction. `after` is called after each case.
/// Throws FileError: as load_case; an image whose padded shape is not that of the first, which the
/// network's weights fit.
std::vector<PredictedClass> predict_classes(
    const PredictSpec& spec, const PredictPlan& plan, const std::vector<Case>& cases,
    InferencePrograms& programs, ParameterStore& parameters, ThreadPool& pool,
    const std::function<void(const PredictedClass&)>& after);

/// Writes id, input, class, probability and the probability of every class as CSV. Throws
/// OutputError.
void write_predicted_classes(const std::string& path, const std::vector<std::string>& classes,
                             const std::vector<PredictedClass>& predictions);

}  // namespace wholemount
