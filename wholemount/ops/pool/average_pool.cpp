#include "wholemount/ops/pool/average_pool.h"

#include "wholemount/ops/pool/average_pool_kernels.h"
#include "wholemount/ops/pool/pool_geometry.h"

namespace wholemount {

namespace {

void check_dtype(const std::string& op_name, const TensorDesc& desc) {
  if (desc.dtype == DType::f32 || desc.dtype == DType::f64) return;
  throw ShapeError(op_name + ": input is " + to_string(desc) + ", wanted f32 or f64");
}

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

/// Inputs {grad_y, base or absent}, output {grad_x}; knows the extent of x.
class AveragePoolBackwardOp final : public Op {
 public:
  AveragePoolBackwardOp(const PoolSpec& spec, const Extent3& x_extent)
      : spec_(spec), x_extent_(x_extent) {}
  [[nodiscard]] std::string name() const override { return "average_pool_backward"; }
  [[nodiscard]] std::string attributes() const override { return to_string(spec_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(name(), inputs[0]);
    const Extent3 wanted = PoolGeometry(name(), spec_, x_extent_).output();
    if (inputs[0].extent != wanted) {
      throw ShapeError("average_pool_backward: gradient of " + to_string(inputs[0].extent) +
                       " voxels, wanted " + to_string(wanted));
    }
    TensorDesc grad_x = inputs[0];
    grad_x.extent = x_extent_;
    if (inputs[1].n != 0 && inputs[1] != grad_x) {
      throw ShapeError("average_pool_backward: base is " + to_string(inputs[1]) + ", wanted " +
                       to_string(grad_x));
    }
    return {grad_x};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    if (input == 1) return output_box;
    return PoolGeometry(name(), spec_, x_extent_).windows_touching(output_box);
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 1; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_average_pool_backward_reference(spec_, context)
                                    : make_average_pool_backward_kernel(spec_, context);
  }

 private:
  PoolSpec spec_;
  Extent3 x_extent_;
};

class AveragePoolOp final : public Op {
 public:
  explicit AveragePoolOp(const PoolSpec& spec) : spec_(spec) {}
  [[nodiscard]] std::string name() const override { return "average_pool"; }
  [[nodiscard]] std::string attributes() const override { return to_string(spec_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(name(), inputs[0]);
    TensorDesc y = inputs[0];
    y.extent = PoolGeometry(name(), spec_, y.extent).output();
    return {y};
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
    const auto op = std::make_shared<AveragePoolBackwardOp>(spec_, scope.builder().desc(x).extent);
    scope.contribute(
        x, scope.builder().add(op, {grad_y, scope.take(x)}, node.name + ".backward").front());
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_average_pool_reference(spec_, context)
                                    : make_average_pool_kernel(spec_, context);
  }

 private:
  PoolSpec spec_;
};

}  // namespace

ValueId average_pool(GraphBuilder& builder, const PoolSpec& spec, ValueId x,
                     const std::string& name) {
  return builder.add(std::make_shared<AveragePoolOp>(spec), {x}, name).front();
}

}  // namespace wholemount
