#include "wholemount/ops/bfloat16/bfloat16.h"

#include <string>

#include "wholemount/base/error.h"
#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/bfloat16/bfloat16_rows.h"

namespace wholemount {

namespace {

std::string kernel_name(const char* op, const Target& target) {
  return op + std::string("_") +
         (target.reference ? "reference" : std::string(isa_name(target.isa)));
}

/// The portable rows are plain loops: they are the reference.
Isa isa_of(const Target& target) { return target.reference ? Isa::portable : target.isa; }

int64_t traffic(const PrepareContext& context) {
  return static_cast<int64_t>(checked_add(context.inputs[0].bytes(), context.outputs[0].bytes()));
}

class ToBfloat16Kernel final : public SlabKernel {
 public:
  explicit ToBfloat16Kernel(const PrepareContext& context)
      : SlabKernel(kernel_name("to_bfloat16", context.target), SlabTasks(context.outputs[0]), 0,
                   traffic(context)),
        row_(WM_PICK_ISA(isa_of(context.target), to_bfloat16_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    for_each_run(task.box, {&x, &y}, [&](int64_t d, int64_t h, int64_t count) {
      row_({x.at<const float>(task.n, task.block, d, h), y.at<uint16_t>(task.n, task.block, d, h),
            count});
    });
  }

 private:
  void (*row_)(const ToBfloat16Row&);
};

class FromBfloat16Kernel final : public SlabKernel {
 public:
  explicit FromBfloat16Kernel(const PrepareContext& context)
      : SlabKernel(kernel_name("from_bfloat16", context.target), SlabTasks(context.outputs[0]), 0,
                   traffic(context)),
        row_(WM_PICK_ISA(isa_of(context.target), from_bfloat16_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& y = args.inputs[0].view;
    const TensorView& x = args.outputs[0].view;
    for_each_run(task.box, {&y, &x}, [&](int64_t d, int64_t h, int64_t count) {
      row_({y.at<const uint16_t>(task.n, task.block, d, h), x.at<float>(task.n, task.block, d, h),
            count});
    });
  }

 private:
  void (*row_)(const FromBfloat16Row&);
};

/// The same tensor with elements of another type.
template <class KernelType>
class ConversionOp final : public Op {
 public:
  ConversionOp(const char* name, DType from, DType to) : name_(name), from_(from), to_(to) {}
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    TensorDesc desc = inputs[0];
    if (desc.dtype != from_) {
      throw ShapeError(name_ + ": the tensor is " + to_string(desc) + ", wanted elements of type " +
                       dtype_name(from_));
    }
    desc.dtype = to_;
    return {desc};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<KernelType>(context);
  }

 private:
  std::string name_;
  DType from_;
  DType to_;
};

}  // namespace

std::shared_ptr<const Op> make_to_bfloat16() {
  return std::make_shared<ConversionOp<ToBfloat16Kernel>>("to_bfloat16", DType::f32, DType::bf16);
}

std::shared_ptr<const Op> make_from_bfloat16() {
  return std::make_shared<ConversionOp<FromBfloat16Kernel>>("from_bfloat16", DType::bf16,
                                                            DType::f32);
}

}  // namespace wholemount
