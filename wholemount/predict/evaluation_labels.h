#pragma once

#include <string>
#include <vector>

#include "wholemount/predict/evaluation.h"

namespace wholemount {

/// Turns texts (EvaluationSpec::labels) into labels. Names are looked up in the data set that
/// `references` (a folder or file of label maps) belongs to: the nearest folder above, at most two
/// levels up, with a dataset.json.
/// Throws ConfigError: not a value from 0 to 255, a name nobody declares, a label given twice.
[[nodiscard]] std::vector<EvaluationLabel> parse_evaluation_labels(
    const std::vector<std::string>& texts, const std::string& references);

}  // namespace wholemount
