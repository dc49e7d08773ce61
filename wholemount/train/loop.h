#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "wholemount/train/job_from_data.h"
#include "wholemount/train/segmentation_scores.h"

namespace wholemount {

/// How a run is to be executed; none of it changes the bits of the result.
struct TrainSpec {
  std::string run_folder;
  bool resume = false;
  std::optional<int64_t> max_steps;  ///< stop after this many updates of this call
  int threads = 1;
  std::string memory;  ///< --memory as typed; empty: the configuration's
};

/// What a run reports at its end (summary.json).
struct TrainSummary {
  std::string status;  ///< "finished", "interrupted", "max-steps", "target-reached"
  int64_t epochs = 0;
  int64_t steps = 0;
  size_t predicted_peak_bytes = 0;
  size_t measured_peak_bytes = 0;
  double predicted_step_seconds = 0;
  double measured_step_seconds = 0;  ///< median of this call's updates
  double loss = 0;                   ///< of the last update
  Scores metrics;                    ///< of the last evaluation
  bool split_leaks = false;          ///< those metrics are of a split that leaks (kLeakWarning)
  std::string weights_digest;
  double seconds = 0;  ///< training time over all resumptions
  /// Of the process that started the run: from the first touch of the data set to the evaluation
  /// that reached the target, evaluations and checkpoints included (time-to-train).
  std::optional<double> seconds_to_target;
  double images_per_second = 0;  ///< trained on by this call, evaluations and checkpoints included
};

/// The summary with the keys of cli.md; undefined numbers are null.
[[nodiscard]] nlohmann::ordered_json summary_json(const TrainSummary& summary);

/// Trains as the job says: plans, refuses what cannot fit (MemoryBudgetError), locks the run
/// folder, then epochs of updates with evaluation and checkpoints. SIGTERM and SIGINT end it after
/// the running update with a checkpoint and status "interrupted".
///
/// The run folder gets config.toml, plan.json, intensity.json (where anything is fitted),
/// log.jsonl, checkpoint/, model.safetensors, summary.json. Resuming from any checkpoint equals the
/// uninterrupted run byte for byte.
TrainSummary train(const DataJob& job, const TrainSpec& spec);

}  // namespace wholemount
