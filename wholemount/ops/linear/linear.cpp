#include "wholemount/ops/linear/linear.h"

#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/conv/convolution_ops.h"
#include "wholemount/ops/linear/flatten.h"

namespace wholemount {

namespace {

/// The convolution, but for the gradient of its weights.
class LinearOp final : public Op {
 public:
  LinearOp(std::shared_ptr<const Op> conv, const ConvGeometry& geometry)
      : conv_(std::move(conv)), geometry_(geometry) {}
  [[nodiscard]] std::string name() const override { return conv_->name(); }
  [[nodiscard]] std::string attributes() const override { return conv_->attributes(); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return conv_->infer(inputs);
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return conv_->input_region(input, output_box, inputs);
  }
  [[nodiscard]] bool reads_through(int input) const override { return conv_->reads_through(input); }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return conv_->prepare(context);
  }

  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    if (grad_y == kNone) return;
    GraphBuilder& builder = scope.builder();
    const ValueId x = node.inputs[2];
    const ValueId factors =
        builder.add(make_flatten(), {grad_y, x}, node.name + ".weight_gradient").front();
    builder.bind_gradient_factors(factors, node.inputs[0]);
    if (node.inputs[1] != kNone) {
      const ValueId sum =
          builder.add(make_flatten(), {grad_y}, node.name + ".bias_gradient").front();
      builder.bind_parameter_gradient(sum, node.inputs[1]);
    }
    if (!scope.wanted(x)) return;
    const TensorDesc& desc = builder.desc(x);
    scope.contribute(
        x, builder
               .add(make_conv_data_gradient_op(ConvKind::conv, geometry_, {desc.c}, desc.extent),
                    {grad_y, node.inputs[0]}, node.name + ".data_gradient")
               .front());
  }

 private:
  std::shared_ptr<const Op> conv_;
  ConvGeometry geometry_;
};

/// Factors pay when they are much smaller than the matrix, for every sample has some; and what a
/// cache holds is added to quickly anyway.
bool is_worth_factoring(const GraphBuilder& builder, int64_t c_out, const TensorDesc& x) {
  constexpr int64_t kLeastElements = int64_t{1} << 16;
  constexpr int64_t kLeastRatio = 64;
  const int64_t columns = checked_multiply(x.c, volume(x.extent));
  const int64_t elements = checked_multiply(c_out, columns);
  return builder.sample() != kNone && x.n == 1 && elements >= kLeastElements &&
         elements >= checked_multiply(kLeastRatio, checked_add(c_out, columns));
}

}  // namespace

ValueId linear(GraphBuilder& builder, int64_t c_out, ValueId input, const std::string& name,
               bool bias, Initializer initializer) {
  const TensorDesc x = builder.desc(input);
  ConvSpec spec;
  spec.c_out = c_out;
  spec.kernel = x.extent;
  spec.padding = {0, 0, 0};
  const ValueId y = conv(builder, spec, {&input, 1}, name, bias, initializer);
  if (is_worth_factoring(builder, c_out, x)) {
    const Node& node =
        builder.graph().nodes[static_cast<size_t>(builder.graph().value(y).producer)];
    const ConvGeometry geometry{spec.kernel, spec.stride, spec.padding, spec.dilation};
    builder.replace(builder.graph().value(y).producer,
                    std::make_shared<LinearOp>(node.op, geometry), node.inputs);
  }
  return y;
}

}  // namespace wholemount
