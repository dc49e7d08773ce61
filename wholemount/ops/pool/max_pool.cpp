#include "wholemount/ops/pool/max_pool.h"

#include "wholemount/ops/pool/max_pool_kernels.h"
#include "wholemount/ops/pool/pool_geometry.h"

namespace wholemount {

namespace {

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

/// The output of max_pool for an input.
TensorDesc pooled(const PoolSpec& spec, const TensorDesc& x, const std::string& op_name) {
  if (x.dtype != DType::f32 && x.dtype != DType::f64) {
    throw ShapeError(op_name + ": input is " + to_string(x) + ", wanted f32 or f64");
  }
  TensorDesc y = x;
  y.extent = PoolGeometry(op_name, spec, x.extent).output();
  return y;
}

/// Inputs {x read through, grad_y, base or absent}, output {grad_x = base + scattered grad_y};
/// rectified: maxima that are not > 0 scatter nothing.
class MaxPoolBackwardOp final : public Op {
 public:
  explicit MaxPoolBackwardOp(const PoolSpec& spec, bool rectified = false)
      : spec_(spec), rectified_(rectified) {}
  [[nodiscard]] std::string name() const override { return "max_pool_backward"; }
  [[nodiscard]] std::string attributes() const override {
    return to_string(spec_) + (rectified_ ? " rectified" : "");
  }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    const TensorDesc wanted = pooled(spec_, inputs[0], name());
    if (inputs[1] != wanted) {
      throw ShapeError("max_pool_backward: gradient is " + to_string(inputs[1]) + ", wanted " +
                       to_string(wanted));
    }
    if (inputs[2].n != 0 && inputs[2] != inputs[0]) {
      throw ShapeError("max_pool_backward: base is " + to_string(inputs[2]) + ", wanted " +
                       to_string(inputs[0]));
    }
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    if (input == 2) return output_box;
    const PoolGeometry geometry(name(), spec_, inputs[0].extent);
    const Box3 windows = geometry.windows_touching(output_box);
    return input == 1 ? windows : geometry.voxels_of(windows);
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 2; }
  [[nodiscard]] bool reads_through(int input) const override { return input == 0; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_max_pool_backward_reference(spec_, rectified_, context)
                                    : make_max_pool_backward_kernel(spec_, rectified_, context);
  }
  [[nodiscard]] RectifiedOp rectified(const Node& node, int32_t y, float slope) const override {
    // A maximum of rectified values is > 0 where the value behind it is, and what it has read
    // already tells. A base, or a slope below zero, would have to be multiplied as well.
    if (rectified_ || slope != 0.0F || node.inputs[0] != y || node.inputs[2] != kNone) return {};
    return {std::make_shared<MaxPoolBackwardOp>(spec_, true), false};
  }

 private:
  PoolSpec spec_;
  bool rectified_;
};

class MaxPoolOp final : public Op {
 public:
  explicit MaxPoolOp(const PoolSpec& spec) : spec_(spec) {}
  [[nodiscard]] std::string name() const override { return "max_pool"; }
  [[nodiscard]] std::string attributes() const override { return to_string(spec_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {pooled(spec_, inputs[0], name())};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return PoolGeometry(name(), spec_, inputs[0].extent).voxels_of(output_box);
  }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId x = node.inputs[0];
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    if (grad_y == kNone || !scope.wanted(x)) return;
    const ValueId grad_x = scope.builder()
                               .add(std::make_shared<MaxPoolBackwardOp>(spec_),
                                    {x, grad_y, scope.take(x)}, node.name + ".backward")
                               .front();
    scope.contribute(x, grad_x);
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_max_pool_reference(spec_, context)
                                    : make_max_pool_kernel(spec_, context);
  }

 private:
  PoolSpec spec_;
};

}  // namespace

ValueId max_pool(GraphBuilder& builder, const PoolSpec& spec, ValueId x, const std::string& name) {
  return builder.add(std::make_shared<MaxPoolOp>(spec), {x}, name).front();
}

}  // namespace wholemount
