#include "wholemount/train/job.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "wholemount/base/memory.h"
#include "wholemount/nets/mcnn.h"
#include "wholemount/nets/unet3d.h"

namespace wholemount {

namespace {

std::optional<NormKind> norm_kind(NetNorm norm) {
  switch (norm) {
    case NetNorm::none:
      return std::nullopt;
    case NetNorm::batch:
      return NormKind::batch;
    case NetNorm::instance:
      return NormKind::instance;
    case NetNorm::group:
      return NormKind::group;
  }
  return std::nullopt;
}

LossTerm loss_term(const LossTermConfig& config, const TaskSpec& task) {
  if (config.label_smoothing != 0.0 && config.name != "ce") {
    throw ConfigError("train.loss: label_smoothing belongs to \"ce\", found with \"" + config.name +
                      "\"; leave it out");
  }
  if (task.whole_image && config.name != "ce") {
    throw ConfigError("train.loss: \"" + config.name +
                      "\" compares label maps; classification of whole images takes \"ce\"");
  }
  LossTerm term;
  term.weight = config.weight;
  term.pooled = config.pooled;
  term.smooth_numerator = config.smooth[0];
  term.smooth_denominator = config.smooth[1];
  term.label_smoothing = config.label_smoothing;
  const bool regions = task.target == TargetKind::regions;
  if (config.name == "dice") {
    term.name = LossName::dice;
  } else if (config.name == "log-dice") {
    term.name = LossName::log_dice;
  } else if (config.name == "bce" && regions) {
    term.name = LossName::bce;
  } else if (config.name == "ce" && !regions) {
    term.name = LossName::ce;
  } else {
    throw ConfigError(
        "train.loss: \"" + config.name + "\" does not fit data.target, which gives " +
        (regions ? "regions (one sigmoid each): use \"bce\"" : "classes (softmax): use \"ce\""));
  }
  return term;
}

}  // namespace

Network network_from_config(const NetConfig& net, const TaskSpec& task) {
  if (task.whole_image != (net.kind == NetKind::mcnn)) {
    throw ConfigError(task.whole_image
                          ? "net.kind: the data set has one class an image; only \"mcnn\" "
                            "classifies images"
                          : "net.kind: the data set has label maps; only \"unet3d\" segments "
                            "volumes");
  }
  if (net.kind == NetKind::mcnn) {
    return mcnn_network({task.in_channels, static_cast<int64_t>(task.outputs.size()), net.fc_relu});
  }
  UNet3dSpec spec;
  spec.in_channels = task.in_channels;
  spec.out_channels = static_cast<int64_t>(task.outputs.size());
  spec.filters = net.filters;
  spec.levels = net.levels;
  spec.norm = norm_kind(net.norm);
  spec.groups = net.groups;
  spec.epsilon = static_cast<float>(net.norm_epsilon);
  spec.slope = static_cast<float>(net.slope);
  spec.decoder = net.decoder == DecoderKind::transposed ? UNet3dSpec::Decoder::transposed
                                                        : UNet3dSpec::Decoder::upsample;
  return unet3d_network(spec);
}

SegmentationLossSpec loss_from_config(const TrainConfig& train, const TaskSpec& task) {
  SegmentationLossSpec loss;
  loss.target = task.target;
  if (train.loss.empty()) {
    const bool regions = task.target == TargetKind::regions;
    if (task.whole_image) {
      LossTermConfig entropy;
      entropy.name = "ce";
      loss.terms = {loss_term(entropy, task)};
      return loss;
    }
    LossTermConfig dice;
    dice.name = "dice";
    dice.weight = 0.5;
    LossTermConfig entropy;
    entropy.name = regions ? "bce" : "ce";
    entropy.weight = 0.5;
    loss.terms = {loss_term(dice, task), loss_term(entropy, task)};
    return loss;
  }
  for (const LossTermConfig& term : train.loss) {
    loss.terms.push_back(loss_term(term, task));
  }
  return loss;
}

int64_t update_batch(const JobSpec& job) {
  const auto cases = static_cast<int64_t>(job.train_extents.size());
  return std::max<int64_t>(1, std::min(job.config.train.batch, cases));
}

int64_t samples_per_program(const JobSpec& job) {
  const bool pooled = std::any_of(job.loss.terms.begin(), job.loss.terms.end(),
                                  [](const LossTerm& term) { return term.pooled; });
  const bool joins_update =
      pooled || (job.network.joins_samples && job.config.net.norm_over == NormOver::update);
  const int64_t batch = update_batch(job);
  if (joins_update) {
    return batch;
  }
  return std::min(batch, job.config.train.micro_batch.value_or(1));
}

int64_t steps_per_epoch(const JobSpec& job) {
  const auto cases = static_cast<int64_t>(job.train_extents.size());
  return job.config.train.steps_per_epoch.value_or(divide_up(cases, update_batch(job)));
}

}  // namespace wholemount
