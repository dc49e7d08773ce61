#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/metrics/threshold_baseline.h"
#include "wholemount/train/case_evaluation.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

/// The best that one threshold on one channel does for one output, chosen with the cases' truth in
/// hand: what a network has to beat.
struct ThresholdScore {
  std::string output;
  std::string channel;
  ThresholdSide side = ThresholdSide::above;
  double threshold = 0;  ///< in standard deviations of the channel's voxels != 0, from their mean
  double dice = 0;       ///< mean over the cases
};

/// Tries every channel the network reads, both sides and thresholds from -4 to 8 deviations in
/// steps of 0.02, each with largest-component clean-up (ThresholdBaseline), on `cases` of `data`;
/// one score an output (background left out). Memory: threshold_scratch_bytes and the stream's.
/// Throws what load_case throws.
[[nodiscard]] std::vector<ThresholdScore> best_threshold_scores(const EvaluationCases& cases,
                                                                const DataJob& data,
                                                                ThreadPool& pool);

/// What best_threshold_scores allocates for cases of at most `voxels` voxels.
[[nodiscard]] size_t threshold_scratch_bytes(const TaskSpec& task, int64_t voxels, int threads);

/// "FLAIR above 1.42 sd"
[[nodiscard]] std::string threshold_rule(const ThresholdScore& score);

}  // namespace wholemount
