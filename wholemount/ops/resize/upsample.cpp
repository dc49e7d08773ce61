#include "wholemount/ops/resize/upsample.h"

#include "wholemount/ops/resize/upsample_axis.h"
#include "wholemount/ops/resize/upsample_kernels.h"

namespace wholemount {

namespace {

constexpr int64_t kMaxFactor = 1024;

void check_spec(const UpsampleSpec& spec) {
  for (const int64_t factor : {spec.factor.d, spec.factor.h, spec.factor.w}) {
    if (factor >= 1 && factor <= kMaxFactor) continue;
    throw ConfigError("upsample: factor " + to_string(spec.factor) +
                      ", wanted 1 to 1024 on each axis");
  }
}

std::string describe(const UpsampleSpec& spec) {
  return std::string(spec.mode == UpsampleMode::nearest ? "nearest" : "linear") + " x" +
         to_string(spec.factor);
}

void check_dtype(const std::string& op_name, const TensorDesc& desc) {
  if (desc.dtype == DType::f32 || desc.dtype == DType::f64) return;
  throw ShapeError(op_name + ": input is " + to_string(desc) + ", wanted f32 or f64");
}

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

/// Input {grad_y}, output {grad_x}.
class UpsampleBackwardOp final : public Op {
 public:
  explicit UpsampleBackwardOp(const UpsampleSpec& spec) : spec_(spec) {}
  [[nodiscard]] std::string name() const override { return "upsample_backward"; }
  [[nodiscard]] std::string attributes() const override { return describe(spec_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(name(), inputs[0]);
    const Extent3& size = inputs[0].extent;
    const Extent3& factor = spec_.factor;
    if (size.d % factor.d != 0 || size.h % factor.h != 0 || size.w % factor.w != 0) {
      throw ShapeError("upsample_backward: gradient of " + to_string(size) +
                       " voxels, wanted multiples of " + to_string(factor));
    }
    TensorDesc grad_x = inputs[0];
    grad_x.extent = {size.d / factor.d, size.h / factor.h, size.w / factor.w};
    return {grad_x};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return UpsampleGeometry(spec_, infer(inputs)[0].extent).outputs_of(output_box);
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_upsample_backward_reference(spec_, context)
                                    : make_upsample_backward_kernel(spec_, context);
  }

 private:
  UpsampleSpec spec_;
};

class UpsampleOp final : public Op {
 public:
  explicit UpsampleOp(const UpsampleSpec& spec) : spec_(spec) {}
  [[nodiscard]] std::string name() const override { return "upsample"; }
  [[nodiscard]] std::string attributes() const override { return describe(spec_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(name(), inputs[0]);
    TensorDesc y = inputs[0];
    y.extent = {checked_multiply(y.extent.d, spec_.factor.d),
                checked_multiply(y.extent.h, spec_.factor.h),
                checked_multiply(y.extent.w, spec_.factor.w)};
    return {y};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return UpsampleGeometry(spec_, inputs[0].extent).inputs_of(output_box);
  }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId x = node.inputs[0];
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    if (grad_y == kNone || !scope.wanted(x)) return;
    scope.contribute(
        x, scope.builder()
               .add(std::make_shared<UpsampleBackwardOp>(spec_), {grad_y}, node.name + ".backward")
               .front());
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return wants_reference(context) ? make_upsample_reference(spec_, context)
                                    : make_upsample_kernel(spec_, context);
  }

 private:
  UpsampleSpec spec_;
};

}  // namespace

ValueId upsample(GraphBuilder& builder, const UpsampleSpec& spec, ValueId x,
                 const std::string& name) {
  check_spec(spec);
  return builder.add(std::make_shared<UpsampleOp>(spec), {x}, name).front();
}

}  // namespace wholemount
