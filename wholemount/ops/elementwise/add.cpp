#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/elementwise/elementwise_rows.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

int64_t traffic(const PrepareContext& context) {
  return checked_multiply(static_cast<int64_t>(context.outputs[0].bytes()), 3);
}

template <class T>
class AddReference final : public SlabKernel {
 public:
  explicit AddReference(const PrepareContext& context)
      : SlabKernel("add_reference", SlabTasks(context.outputs[0]),
                   context.outputs[0].num_elements(), traffic(context)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const bool has_twins = !args.decisions.empty();
    const TransformedReader<T> a(args.inputs[0], has_twins ? &args.decisions[0] : nullptr);
    const TransformedReader<T> b(args.inputs[1], has_twins ? &args.decisions[1] : nullptr);
    const TensorView& y = args.outputs[0].view;
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      element<T>(y, task.n, c, d, h, w) = a(task.n, c, d, h, w) + b(task.n, c, d, h, w);
    });
  }
};

class AddKernel final : public SlabKernel {
 public:
  explicit AddKernel(const PrepareContext& context)
      : SlabKernel("add_" + std::string(isa_name(context.target.isa)),
                   SlabTasks(context.outputs[0]), context.outputs[0].num_elements(),
                   traffic(context)),
        add_row_(WM_PICK_ISA(context.target.isa, add_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& a = args.inputs[0].view;
    const TensorView& b = args.inputs[1].view;
    const TensorView& y = args.outputs[0].view;
    const LaneTransform lanes_a = lane_transform(args.inputs[0], task.block);
    const LaneTransform lanes_b = lane_transform(args.inputs[1], task.block);
    for_each_run(task.box, {&a, &b, &y}, [&](int64_t d, int64_t h, int64_t count) {
      add_row_({{a.at<float>(task.n, task.block, d, h), lanes_a.scale, lanes_a.shift, lanes_a.slope,
                 args.inputs[0].transform.identity()},
                {b.at<float>(task.n, task.block, d, h), lanes_b.scale, lanes_b.shift, lanes_b.slope,
                 args.inputs[1].transform.identity()},
                y.at<float>(task.n, task.block, d, h),
                count});
    });
  }

 private:
  void (*add_row_)(const AddRow&);
};

class AddOp final : public Op {
 public:
  [[nodiscard]] std::string name() const override { return "add"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    if (inputs[0] != inputs[1]) {
      throw ShapeError("add: second operand is " + to_string(inputs[1]) +
                       ", wanted the shape of the first, " + to_string(inputs[0]));
    }
    if (inputs[0].dtype != DType::f32 && inputs[0].dtype != DType::f64) {
      throw ShapeError("add: operands are " + to_string(inputs[0]) + ", wanted f32 or f64");
    }
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 0; }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId gradient = scope.gradient(node.outputs[0]);
    if (gradient == kNone) return;
    for (const ValueId input : node.inputs) {
      if (scope.wanted(input)) scope.contribute(input, gradient);
    }
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<AddReference<double>>(context);
    }
    if (context.target.reference) return std::make_shared<AddReference<float>>(context);
    return std::make_shared<AddKernel>(context);
  }
};

}  // namespace

std::shared_ptr<const Op> make_add() { return std::make_shared<AddOp>(); }

ValueId add(GraphBuilder& builder, ValueId a, ValueId b, const std::string& name) {
  return builder.add(make_add(), {a, b}, name).front();
}

}  // namespace wholemount
