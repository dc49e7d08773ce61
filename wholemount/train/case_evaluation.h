#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/data/case_stream.h"
#include "wholemount/exec/session.h"
#include "wholemount/predict/inference_programs.h"
#include "wholemount/predict/score_summary.h"
#include "wholemount/train/job.h"
#include "wholemount/train/update_runner.h"

namespace wholemount {

/// The cases to evaluate and how they reach memory.
struct EvaluationCases {
  std::span<const Case> cases;     ///< of the data set
  std::vector<int64_t> indices;    ///< which of them, in order
  const LoadSpec* load = nullptr;  ///< with target, without augmentation
  StagingPlan staging;
  std::span<std::byte> memory;  ///< staging.slots_bytes(); empty: the stream maps its own
};

/// Runs every case whole through the network with its loss and counts; programs must have been made
/// with a loss. One entry of `samples` per case, in the order of `indices`.
[[nodiscard]] LossAndCounts evaluate_cases(const EvaluationCases& cases,
                                           InferencePrograms& programs, Session& session);

/// The counts as scores per case and output, in the shape of nnU-Net's summary.
[[nodiscard]] ScoreSummary score_summary(const EvaluationCases& cases, const TaskSpec& task,
                                         const LossAndCounts& result);

}  // namespace wholemount
