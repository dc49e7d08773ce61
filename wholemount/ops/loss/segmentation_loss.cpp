#include "wholemount/ops/loss/segmentation_loss.h"

#include <algorithm>
#include <cmath>

#include "wholemount/ops/loss/segmentation_ops.h"

namespace wholemount {

namespace {

/// Of the ce term; check_terms has seen that all agree.
double smoothing_of(const SegmentationLossSpec& spec) {
  for (const LossTerm& term : spec.terms) {
    if (term.name == LossName::ce) return term.label_smoothing;
  }
  return 0.0;
}

void check_terms(const SegmentationLossSpec& spec, const std::string& name) {
  if (spec.terms.empty()) {
    throw ConfigError(name + ": a loss without terms; name at least one");
  }
  for (const LossTerm& term : spec.terms) {
    const bool is_log = term.name == LossName::log_dice;
    if (term.name == LossName::bce && spec.target == TargetKind::classes) {
      throw ConfigError(name + ": bce belongs to regions; use ce for classes");
    }
    if (term.name == LossName::ce && spec.target == TargetKind::regions) {
      throw ConfigError(name + ": ce belongs to classes; use bce for regions");
    }
    if (term.name == LossName::ce ? !(term.label_smoothing >= 0.0 && term.label_smoothing < 1.0) ||
                                        term.label_smoothing != smoothing_of(spec)
                                  : term.label_smoothing != 0.0) {
      throw ConfigError(name + ": label_smoothing = " + std::to_string(term.label_smoothing) +
                        "; wanted 0 to below 1, of ce only, and the same in all ce terms");
    }
    if (!std::isfinite(term.weight)) {
      throw ConfigError(name + ": the weight of a loss term is not a finite number");
    }
    for (const double smooth : {term.smooth_numerator, term.smooth_denominator}) {
      if (!std::isfinite(smooth) || smooth < 0.0 || (is_log && smooth == 0.0)) {
        throw ConfigError(name + ": smoothing is " + std::to_string(smooth) + ", wanted " +
                          (is_log ? "> 0 for log_dice" : ">= 0"));
      }
    }
  }
}

}  // namespace

SegmentationLossValues segmentation_loss(GraphBuilder& builder, const SegmentationLossSpec& spec,
                                         std::span<const ValueId> logits,
                                         std::span<const ValueId> targets,
                                         const std::string& name) {
  check_terms(spec, name);
  const auto num_samples = static_cast<size_t>(builder.graph().num_samples);
  if (logits.size() != num_samples || targets.size() != num_samples) {
    throw ShapeError(name + ": " + std::to_string(logits.size()) + " logits and " +
                     std::to_string(targets.size()) + " targets for a graph of " +
                     std::to_string(num_samples) + " samples; give one each per sample");
  }
  const bool is_joint = std::any_of(spec.terms.begin(), spec.terms.end(),
                                    [](const LossTerm& term) { return term.pooled; });
  const bool has_entropy = std::any_of(
      spec.terms.begin(), spec.terms.end(),
      [](const LossTerm& term) { return term.name == LossName::bce || term.name == LossName::ce; });

  const int32_t sample_before = builder.sample();
  SegmentationLossValues result;
  std::vector<ValueId> sums;
  builder.next_layer();
  for (size_t i = 0; i < num_samples; ++i) {
    builder.set_sample(static_cast<int32_t>(i));
    const std::vector<ValueId> outputs =
        builder.add(make_segmentation_sums_op({spec.target, has_entropy, smoothing_of(spec)}),
                    {logits[i], targets[i]}, name + ".sums");
    sums.push_back(outputs[0]);
    result.counts.push_back(outputs[1]);
    builder.keep(outputs[1]);
  }
  builder.next_layer();
  const auto op = make_segmentation_loss_op(spec);
  if (is_joint) {
    builder.set_sample(kNone);
    result.losses.push_back(builder.add(op, sums, name).front());
  } else {
    for (size_t i = 0; i < num_samples; ++i) {
      builder.set_sample(static_cast<int32_t>(i));
      result.losses.push_back(builder.add(op, {sums[i]}, name).front());
    }
  }
  for (const ValueId loss : result.losses) {
    builder.keep(loss);
  }
  builder.set_sample(sample_before);
  result.sums = std::move(sums);
  return result;
}

}  // namespace wholemount
