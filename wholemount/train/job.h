#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wholemount/nets/network.h"
#include "wholemount/ops/loss/segmentation_loss.h"
#include "wholemount/plan/planner.h"
#include "wholemount/predict/inference_programs.h"
#include "wholemount/train/config.h"
#include "wholemount/train/update_runner.h"

namespace wholemount {

/// What the data decide about a network: how many channels go in, what comes out.
struct TaskSpec {
  int64_t in_channels = 1;
  TargetKind target = TargetKind::regions;
  /// One per output channel: region names, or all label names with the background first.
  std::vector<std::string> outputs;
  /// classes: the stored label value of each output, for writing predictions.
  std::vector<uint8_t> label_values;
  /// The data set's channels that the network reads, for images that hold all of them.
  std::vector<int64_t> channel_indices;
};

/// The network that [net] and the task describe. Throws ConfigError.
[[nodiscard]] Network network_from_config(const NetConfig& net, const TaskSpec& task);

/// The loss that train.loss and the task describe; an empty list is Dice plus cross-entropy (bce
/// for regions, ce for classes) with equal weights. Throws ConfigError when a term does not fit the
/// kind of target.
[[nodiscard]] SegmentationLossSpec loss_from_config(const TrainConfig& train, const TaskSpec& task);

/// Everything a plan needs to know about a run.
struct JobSpec {
  RunConfig config;
  TaskSpec task;
  Network network;
  SegmentationLossSpec loss;
  std::vector<Extent3> train_extents;       ///< padded, one per training case
  std::vector<Extent3> validation_extents;  ///< padded, one per validation case
  size_t staging_bytes = 0;                 ///< of the data stream, all slots and buffers
};

/// How many samples one program of the update holds: 1 where samples are independent, unless
/// train.micro_batch says otherwise; the whole batch where something joins samples.
[[nodiscard]] int64_t samples_per_program(const JobSpec& job);
/// Samples per update: train.batch, at most the number of training cases.
[[nodiscard]] int64_t update_batch(const JobSpec& job);
/// Updates of one epoch; the last one of an epoch may hold fewer samples.
[[nodiscard]] int64_t steps_per_epoch(const JobSpec& job);

/// The programs of a job: those of updates and those of evaluations, made on demand and kept.
struct JobPrograms {
  JobPrograms(const JobSpec& job, const PlanSpec& spec, const TimeModel& time);
  UpdatePrograms update;
  InferencePrograms evaluation;
};

/// Predicted bytes of the whole process, by what they are for. Buffers count in whole 2 MiB pages.
struct MemoryPlan {
  size_t baseline_bytes = 0;   ///< the process as it is when planned: code, libraries, descriptions
  size_t reserve_bytes = 0;    ///< heap, code and stacks first touched while running
  size_t parameter_bytes = 0;  ///< values
  size_t gradient_bytes = 0;   ///< all slots
  size_t optimiser_bytes = 0;
  size_t arena_bytes = 0;  ///< the largest program's
  size_t data_bytes = 0;   ///< staging slots and decode buffers
  [[nodiscard]] size_t peak_bytes() const {
    return baseline_bytes + reserve_bytes + parameter_bytes + gradient_bytes + optimiser_bytes +
           arena_bytes + data_bytes;
  }
};

/// A job with its bytes and seconds, before anything runs.
struct JobPlan {
  MemoryPlan memory;
  ParameterBlocks blocks;
  size_t arena_bytes = 0;          ///< exact size of the arena to map
  size_t lower_bound_bytes = 0;    ///< of that arena
  std::vector<Extent3> largest;    ///< sample shapes of the program with the largest arena
  int64_t parameters = 0;          ///< moving statistics included
  int64_t kept_values = 0;         ///< forward values the backward pass reads
  int64_t step_flops = 0;          ///< convolutions of one update of samples of that shape
  int64_t flops_per_image = 0;     ///< forward of that shape, direct convolution
  int64_t layer_output_bytes = 0;  ///< see cli.md, of the batch
  int64_t convolution_output_bytes = 0;
  double step_seconds = 0;  ///< mean over the training cases
  double epoch_seconds = 0;
  double total_seconds = 0;
};

/// Plans the programs of all distinct shapes, training and evaluation, and adds up. Call it right
/// before the buffers are made: the baseline is what the process holds at its end.
[[nodiscard]] JobPlan plan_job(const JobSpec& job, JobPrograms& programs, int num_threads);

/// The budget of a run: `flag` (--memory) if not empty, else memory.budget, else what is free now.
[[nodiscard]] size_t memory_budget_bytes(const RunConfig& config, const std::string& flag);

/// Throws MemoryBudgetError (need, have, largest items, what would fit) when the plan's peak is
/// above the budget.
void check_budget(const JobPlan& plan, size_t budget_bytes);

}  // namespace wholemount
