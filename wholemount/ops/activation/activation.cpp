#include "wholemount/ops/activation/activation.h"

#include <cmath>

#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/activation/activation_rows.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

int64_t traffic(const PrepareContext& context, int64_t tensors) {
  return checked_multiply(static_cast<int64_t>(context.outputs[0].bytes()), tensors);
}

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

void check_dtype(const Op& op, const TensorDesc& desc) {
  if (desc.dtype == DType::f32 || desc.dtype == DType::f64) return;
  throw ShapeError(op.name() + ": input is " + to_string(desc) + ", wanted f32 or f64");
}

template <class T>
class ApplyReference final : public SlabKernel {
 public:
  explicit ApplyReference(const PrepareContext& context)
      : SlabKernel("apply_reference", SlabTasks(context.outputs[0]),
                   3 * context.outputs[0].num_elements(), traffic(context, 2)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    const TensorView& y = args.outputs[0].view;
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      element<T>(y, task.n, c, d, h, w) = x(task.n, c, d, h, w);
    });
  }
};

class ApplyKernel final : public SlabKernel {
 public:
  explicit ApplyKernel(const PrepareContext& context)
      : SlabKernel("apply_" + std::string(isa_name(context.target.isa)),
                   SlabTasks(context.outputs[0]), 3 * context.outputs[0].num_elements(),
                   traffic(context, 2)),
        apply_row_(WM_PICK_ISA(context.target.isa, apply_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    for_each_run(task.box, {&x, &y}, [&](int64_t d, int64_t h, int64_t count) {
      apply_row_({x.at<float>(task.n, task.block, d, h), y.at<float>(task.n, task.block, d, h),
                  count, lanes.scale, lanes.shift, lanes.slope});
    });
  }

 private:
  void (*apply_row_)(const ApplyRow&);
};

class ApplyOp final : public Op {
 public:
  [[nodiscard]] std::string name() const override { return "apply"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(*this, inputs[0]);
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] bool may_overwrite(int /*input*/, int /*output*/) const override { return true; }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId gradient = scope.gradient(node.outputs[0]);
    if (gradient != kNone && scope.wanted(node.inputs[0])) {
      scope.contribute(node.inputs[0], gradient);
    }
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<ApplyReference<double>>(context);
    }
    if (wants_reference(context)) return std::make_shared<ApplyReference<float>>(context);
    return std::make_shared<ApplyKernel>(context);
  }
};

template <class T>
class ActivationBackwardReference final : public SlabKernel {
 public:
  ActivationBackwardReference(const PrepareContext& context, float slope)
      : SlabKernel("activation_backward_reference", SlabTasks(context.outputs[0]),
                   context.outputs[0].num_elements(), traffic(context, 3)),
        slope_(slope) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    const TensorView& grad_y = args.inputs[1].view;
    const TensorView& grad_x = args.outputs[0].view;
    for_each_slab_element<T>(task, grad_x, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      const T gradient = element<T>(grad_y, task.n, c, d, h, w);
      element<T>(grad_x, task.n, c, d, h, w) =
          x.positive(task.n, c, d, h, w) ? gradient : static_cast<T>(slope_) * gradient;
    });
  }

 private:
  float slope_;
};

class ActivationBackwardKernel final : public SlabKernel {
 public:
  ActivationBackwardKernel(const PrepareContext& context, float slope)
      : SlabKernel("activation_backward_" + std::string(isa_name(context.target.isa)),
                   SlabTasks(context.outputs[0]), context.outputs[0].num_elements(),
                   traffic(context, 3)),
        blocked_(context.inputs[0].layout == Layout::blocked16),
        slope_(slope),
        backward_row_(WM_PICK_ISA(context.target.isa, activation_backward_row)) {}
  [[nodiscard]] bool reads_bfloat16(int input) const override { return input == 0 && blocked_; }

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& grad_y = args.inputs[1].view;
    const TensorView& grad_x = args.outputs[0].view;
    for_each_run(task.box, {&x, &grad_y, &grad_x}, [&](int64_t d, int64_t h, int64_t count) {
      backward_row_({x.address(task.n, task.block, d, h), x.is_bfloat16(),
                     grad_y.at<float>(task.n, task.block, d, h),
                     grad_x.at<float>(task.n, task.block, d, h), count, slope_});
    });
  }

 private:
  bool blocked_;
  float slope_;
  void (*backward_row_)(const ActivationBackwardRow&);
};

/// Inputs {x, grad_y}, output {grad_x}.
class ActivationBackwardOp final : public Op {
 public:
  explicit ActivationBackwardOp(float slope) : slope_(slope) {}
  [[nodiscard]] std::string name() const override { return "activation_backward"; }
  [[nodiscard]] std::string attributes() const override { return "slope" + std::to_string(slope_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(*this, inputs[0]);
    if (inputs[0] != inputs[1]) {
      throw ShapeError("activation_backward: gradient is " + to_string(inputs[1]) +
                       ", wanted the shape of the input, " + to_string(inputs[0]));
    }
    return {inputs[1]};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 1; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<ActivationBackwardReference<double>>(context, slope_);
    }
    if (wants_reference(context)) {
      return std::make_shared<ActivationBackwardReference<float>>(context, slope_);
    }
    return std::make_shared<ActivationBackwardKernel>(context, slope_);
  }

 private:
  float slope_;
};

/// The value is aliased by activation(); nothing runs.
class ActivationOp final : public Op {
 public:
  explicit ActivationOp(float slope) : slope_(slope) {}
  [[nodiscard]] std::string name() const override { return "activation"; }
  [[nodiscard]] std::string attributes() const override { return "slope" + std::to_string(slope_); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_dtype(*this, inputs[0]);
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    const ValueId x = node.inputs[0];
    if (grad_y == kNone || !scope.wanted(x)) return;
    if (scope.rectify(grad_y, node.outputs[0], x, slope_)) {
      scope.contribute(x, grad_y);
      return;
    }
    const ValueId grad_x = scope.builder()
                               .add(std::make_shared<ActivationBackwardOp>(slope_), {x, grad_y},
                                    node.name + ".backward")
                               .front();
    scope.contribute(x, grad_x);
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& /*context*/) const override {
    return nullptr;
  }

 private:
  float slope_;
};

}  // namespace

std::shared_ptr<const Op> make_apply() { return std::make_shared<ApplyOp>(); }

ValueId activation(GraphBuilder& builder, float slope, ValueId x, const std::string& name) {
  if (!std::isfinite(slope) || slope < 0.0F) {
    throw ConfigError("activation " + name + ": slope is " + std::to_string(slope) +
                      ", wanted a finite number >= 0");
  }
  const ValueId y = builder.add(std::make_shared<ActivationOp>(slope), {x}, name).front();
  // The builder may have written x out first; the node knows what it really reads.
  const Graph& graph = builder.graph();
  const ValueId stored = graph.nodes[static_cast<size_t>(graph.value(y).producer)].inputs[0];
  builder.alias(y, stored, {kNone, slope});
  return y;
}

}  // namespace wholemount
