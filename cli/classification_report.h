#pragma once

#include <string>

#include "wholemount/train/case_evaluation.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount::cli {

/// An evaluation of whole images.
struct ClassificationResult {
  const DataJob& data;
  const EvaluationCases& cases;
  const LossAndCounts& result;
};

/// Prints scores, confusion matrix and, for data sets of compounds, NSC and NSCB from the mean
/// features of each treatment; or all of it and every image's scores as JSON. With `out`, the JSON
/// is written there too. Throws OutputError.
void finish_classification(bool json, const std::string& out, const ClassificationResult& result);

}  // namespace wholemount::cli
