#include <cmath>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/loss/segmentation_ops.h"

namespace wholemount {

namespace {

// Value and slopes of a Dice term in I and P for one channel.
struct DiceValue {
  double value = 0.0;
  double by_intersection = 0.0;
  double by_predicted = 0.0;
};

DiceValue dice_value(const LossTerm& term, double intersection, double predicted, double truth) {
  const double denominator = predicted + truth + term.smooth_denominator;
  if (term.name == LossName::log_dice) {
    const double numerator = intersection + term.smooth_numerator;
    return {-std::log(2.0 * numerator) + std::log(denominator), -1.0 / numerator,
            1.0 / denominator};
  }
  if (denominator <= 0.0) {
    return {};  // nothing predicted, nothing there: a Dice of 1
  }
  const double numerator = 2.0 * intersection + term.smooth_numerator;
  return {1.0 - numerator / denominator, -2.0 / denominator,
          numerator / (denominator * denominator)};
}

bool is_dice(LossName name) { return name == LossName::dice || name == LossName::log_dice; }

// The weighted sum of the terms over the sums of S samples, and the gradient coefficients. The
// value is a mean over the samples and its gradient is seeded with S, so the factor 1/S appears in
// the value only.
class LossKernel final : public Kernel {
 public:
  LossKernel(const PrepareContext& context, SegmentationLossSpec spec)
      : inputs_(context.inputs.begin(), context.inputs.end()),
        outputs_(context.outputs.begin(), context.outputs.end()),
        spec_(std::move(spec)) {}
  [[nodiscard]] std::string name() const override { return "segmentation_loss_terms"; }
  [[nodiscard]] std::string reason() const override {
    return "a few numbers per channel, in float64 whatever the target";
  }
  [[nodiscard]] int64_t flops() const override { return 0; }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(inputs_.size() * inputs_[0].bytes());
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return 1; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t /*task*/, int input) const override {
    return whole_box(inputs_[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t /*task*/, int output) const override {
    return whole_box(outputs_[static_cast<size_t>(output)].extent);
  }

  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    for (size_t sample = 0; sample < args.inputs.size(); ++sample) {
      for (int64_t row = 0; row < SegmentationCoefficientRow::kNumRows; ++row) {
        for (int64_t c = 0; c < channels(); ++c) {
          add_coefficient(args, sample, row, c, 0.0, true);
        }
      }
    }
    double loss = 0.0;
    for (const LossTerm& term : spec_.terms) {
      loss += term.weight * (is_dice(term.name) ? add_dice(term, args) : add_entropy(term, args));
    }
    if (args.outputs[0].view.origin != nullptr) {
      args.outputs[0].view.at<double>(0, 0)[0] = loss;
    }
  }

 private:
  [[nodiscard]] int64_t channels() const { return inputs_[0].extent.w; }

  static double sum_of(const KernelArgs& args, size_t sample, int64_t row, int64_t c) {
    return args.inputs[sample].view.at<double>(0, row)[c];
  }

  static void add_coefficient(const KernelArgs& args, size_t sample, int64_t row, int64_t c,
                              double value, bool overwrite = false) {
    const TensorView& view = args.outputs[1 + sample].view;
    if (view.origin == nullptr) {
      return;
    }
    double& target = view.at<double>(0, row)[c];
    target = overwrite ? value : target + value;
  }

  double add_dice(const LossTerm& term, const KernelArgs& args) const {
    const size_t num_samples = args.inputs.size();
    const double inverse_samples = 1.0 / static_cast<double>(num_samples);
    double all_voxels = 0.0;
    for (size_t sample = 0; sample < num_samples; ++sample) {
      all_voxels += sum_of(args, sample, SegmentationSumRow::voxels, 0);
    }
    const int64_t first = spec_.target == TargetKind::classes && !term.include_background ? 1 : 0;
    const double share = 1.0 / static_cast<double>(channels() - first);
    double value = 0.0;
    for (int64_t c = first; c < channels(); ++c) {
      double mean[3] = {};
      for (size_t sample = 0; sample < num_samples; ++sample) {
        for (int64_t row = 0; row < 3; ++row) {
          mean[row] += sum_of(args, sample, row, c) * inverse_samples;
        }
      }
      const DiceValue joint =
          dice_value(term, mean[SegmentationSumRow::intersection],
                     mean[SegmentationSumRow::predicted], mean[SegmentationSumRow::truth]);
      for (size_t sample = 0; sample < num_samples; ++sample) {
        const double voxels =
            term.pooled ? all_voxels : sum_of(args, sample, SegmentationSumRow::voxels, 0);
        if (voxels <= 0.0) {
          continue;  // smoothing alone would give nothing a loss
        }
        const DiceValue dice =
            term.pooled
                ? joint
                : dice_value(term, sum_of(args, sample, SegmentationSumRow::intersection, c),
                             sum_of(args, sample, SegmentationSumRow::predicted, c),
                             sum_of(args, sample, SegmentationSumRow::truth, c));
        value += dice.value * share * inverse_samples;
        const double factor = term.weight * share;
        add_coefficient(args, sample, SegmentationCoefficientRow::a, c,
                        factor * dice.by_intersection);
        add_coefficient(args, sample, SegmentationCoefficientRow::b, c, factor * dice.by_predicted);
      }
    }
    return value;
  }

  double add_entropy(const LossTerm& term, const KernelArgs& args) const {
    const size_t num_samples = args.inputs.size();
    const double inverse_samples = 1.0 / static_cast<double>(num_samples);
    // bce is also a mean over the channels.
    const double per_voxel =
        spec_.target == TargetKind::regions ? static_cast<double>(channels()) : 1.0;
    double mean_voxels = 0.0;
    for (size_t sample = 0; sample < num_samples; ++sample) {
      mean_voxels += sum_of(args, sample, SegmentationSumRow::voxels, 0) * inverse_samples;
    }
    double value = 0.0;
    for (size_t sample = 0; sample < num_samples; ++sample) {
      const double voxels =
          term.pooled ? mean_voxels : sum_of(args, sample, SegmentationSumRow::voxels, 0);
      if (voxels <= 0.0) {
        continue;
      }
      const double factor = 1.0 / (voxels * per_voxel);
      double entropy = 0.0;
      for (int64_t c = 0; c < channels(); ++c) {
        entropy += sum_of(args, sample, SegmentationSumRow::entropy, c);
        add_coefficient(args, sample, SegmentationCoefficientRow::e, c, term.weight * factor);
      }
      value += entropy * factor * inverse_samples;
    }
    return value;
  }

  std::vector<TensorDesc> inputs_;
  std::vector<TensorDesc> outputs_;
  SegmentationLossSpec spec_;
};

class SegmentationLossOp final : public Op {
 public:
  explicit SegmentationLossOp(SegmentationLossSpec spec) : spec_(std::move(spec)) {}
  [[nodiscard]] std::string name() const override { return "segmentation_loss"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    if (inputs.empty()) {
      throw ShapeError("segmentation_loss: no sums; give one per sample");
    }
    const Extent3 row = inputs[0].extent;
    const TensorDesc wanted =
        TensorDesc::plain(1, SegmentationSumRow::kNumRows, {1, 1, row.w}, DType::f64);
    for (const TensorDesc& sums : inputs) {
      if (sums != wanted) {
        throw ShapeError("segmentation_loss: sums are " + to_string(sums) + ", wanted " +
                         to_string(wanted));
      }
    }
    std::vector<TensorDesc> outputs{TensorDesc::plain(1, 1, {1, 1, 1}, DType::f64)};
    outputs.resize(1 + inputs.size(),
                   TensorDesc::plain(1, SegmentationCoefficientRow::kNumRows, row, DType::f64));
    return outputs;
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }

  void differentiate(const Node& node, Differentiation& scope) const override {
    GraphBuilder& builder = scope.builder();
    if (scope.gradient(node.outputs[0]) != kNone) {
      throw ShapeError(node.name +
                       ": nothing can be computed from a segmentation loss and differentiated; "
                       "express it with the weights of LossTerm");
    }
    for (size_t sample = 0; sample < node.inputs.size(); ++sample) {
      // A copy: add() below grows the node list.
      const Node sums =
          builder.graph()
              .nodes[static_cast<size_t>(builder.graph().value(node.inputs[sample]).producer)];
      const SegmentationSample* facts = segmentation_sample(*sums.op);
      WM_CHECK(facts != nullptr, "segmentation_loss reads segmentation_sums");
      const ValueId logits = sums.inputs[0];
      if (!scope.wanted(logits)) {
        continue;
      }
      builder.set_sample(sums.sample);
      const ValueId gradient =
          builder
              .add(make_segmentation_backward_op(*facts),
                   {logits, sums.inputs[1], node.outputs[1 + sample]}, node.name + ".grad_logits")
              .front();
      scope.contribute(logits, gradient);
    }
    builder.set_sample(node.sample);
  }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<LossKernel>(context, spec_);
  }

 private:
  SegmentationLossSpec spec_;
};

}  // namespace

std::shared_ptr<const Op> make_segmentation_loss_op(const SegmentationLossSpec& spec) {
  return std::make_shared<SegmentationLossOp>(spec);
}

}  // namespace wholemount
