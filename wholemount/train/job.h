#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wholemount/nets/network.h"
#include "wholemount/ops/loss/segmentation_loss.h"
#include "wholemount/train/config.h"

namespace wholemount {

/// What the data decide about a network: how many channels go in, what comes out.
struct TaskSpec {
  int64_t in_channels = 1;
  TargetKind target = TargetKind::regions;
  bool whole_image = false;  ///< one class an image (target: classes), not a label map
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
  /// CPU seconds of loading one training case, which take part in predicted seconds
  /// (measure_case_load_seconds); 0: none.
  double case_load_seconds = 0;
};

/// How many samples one program of the update holds: 1 where samples are independent, unless
/// train.micro_batch says otherwise; the whole batch where something joins samples.
[[nodiscard]] int64_t samples_per_program(const JobSpec& job);
/// Samples per update: train.batch, at most the number of training cases.
[[nodiscard]] int64_t update_batch(const JobSpec& job);
/// Updates of one epoch; the last one of an epoch may hold fewer samples.
[[nodiscard]] int64_t steps_per_epoch(const JobSpec& job);

}  // namespace wholemount
