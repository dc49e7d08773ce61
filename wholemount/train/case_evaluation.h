#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
  /// NSD at this tolerance and HD95 of every output but the background; programs must then keep
  /// label maps (InferenceSpec::labels). Memory: surface_score_bytes() beside the arena.
  std::optional<double> surface_tolerance_mm = std::nullopt;
};

/// What scoring surfaces of a volume of so many voxels may hold: surface_distances over all of it,
/// with a surface through less than a sixth of its corners.
[[nodiscard]] constexpr size_t surface_score_bytes(int64_t voxels) {
  return 16 * static_cast<size_t>(voxels);
}

/// Runs every case whole through the network with its loss and counts; programs must have been made
/// with a loss. One entry of `samples` per case, in the order of `indices`.
[[nodiscard]] LossAndCounts evaluate_cases(const EvaluationCases& cases,
                                           InferencePrograms& programs, Session& session);

/// The counts as scores per case and output, in the shape of nnU-Net's summary.
[[nodiscard]] ScoreSummary score_summary(const EvaluationCases& cases, const TaskSpec& task,
                                         const LossAndCounts& result);

}  // namespace wholemount
