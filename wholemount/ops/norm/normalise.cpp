#include "wholemount/graph/graph.h"
#include "wholemount/ops/norm/norm_differentiate.h"
#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/ops/norm/norm_statistics.h"
#include "wholemount/tensor/element.h"

namespace wholemount {

namespace {

class NormaliseOp final : public Op {
 public:
  explicit NormaliseOp(float slope) : slope_(slope) {}
  [[nodiscard]] std::string name() const override { return "normalise"; }
  [[nodiscard]] std::string attributes() const override {
    return slope_ == 1.0F ? std::string{} : "slope" + std::to_string(slope_);
  }
  [[nodiscard]] const float& slope() const { return slope_; }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_norm_volume(inputs[0], "normalise");
    const TensorDesc wanted = statistics_desc(inputs[0].c, inputs[0].dtype);
    if (inputs[1] != wanted) {
      throw ShapeError("normalise: statistics are " + to_string(inputs[1]) + ", wanted " +
                       to_string(wanted) + " for " + to_string(inputs[0]));
    }
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return input == 0 ? output_box : whole_box(inputs[1].extent);
  }
  // The gradient is taken by the statistics node, which sees every sample of the norm.
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& /*context*/) const override {
    return nullptr;
  }

 private:
  float slope_;
};

class FromMovingKernel final : public SingleTaskKernel {
 public:
  FromMovingKernel(const PrepareContext& context, float epsilon)
      : SingleTaskKernel(context.inputs, context.outputs),
        is_reference_(wants_reference(context, context.inputs[0])),
        epsilon_(static_cast<double>(epsilon)) {}
  [[nodiscard]] std::string name() const override {
    return is_reference_ ? "norm_from_moving_reference" : "norm_from_moving";
  }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    const int64_t channels = input_desc(0).extent.w;
    const auto read = [&](size_t input, int64_t channel) {
      return read_element(args.inputs[input].view, 0, 0, 0, 0, channel);
    };
    for (int64_t channel = 0; channel < channels; ++channel) {
      write_statistics(args.outputs[0].view, channel, read(2, channel), read(3, channel), epsilon_,
                       read(0, channel), read(1, channel));
    }
    clear_statistics_padding(args.outputs[0].view, channels);
  }

 private:
  bool is_reference_;
  double epsilon_;
};

class NormFromMovingOp final : public Op {
 public:
  explicit NormFromMovingOp(float epsilon) : epsilon_(epsilon) {}
  [[nodiscard]] std::string name() const override { return "norm_from_moving"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    const int64_t channels = inputs[0].extent.w;
    constexpr const char* kNames[] = {"weight", "bias", "running_mean", "running_var"};
    for (size_t i = 0; i < 4; ++i) {
      check_channel_vector(inputs[i], channels, "norm_from_moving", kNames[i]);
    }
    return {statistics_desc(channels, inputs[0].dtype)};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const Graph& graph = scope.builder().graph();
    for (const NodeId id : scope.readers(node.outputs[0])) {
      if (scope.gradient(graph.nodes[static_cast<size_t>(id)].outputs[0]) != kNone) {
        throw ShapeError(node.name +
                         ": a batch norm that uses moving statistics cannot be trained; build the "
                         "network with NormSpec::moving = false");
      }
    }
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<FromMovingKernel>(context, epsilon_);
  }

 private:
  float epsilon_;
};

}  // namespace

const float* normalise_slope(const Op& op) {
  const auto* normalise = dynamic_cast<const NormaliseOp*>(&op);
  return normalise == nullptr ? nullptr : &normalise->slope();
}

std::shared_ptr<const Op> make_normalise_op(float slope) {
  return std::make_shared<NormaliseOp>(slope);
}

std::shared_ptr<const Op> make_norm_from_moving_op(float epsilon) {
  return std::make_shared<NormFromMovingOp>(epsilon);
}

}  // namespace wholemount
