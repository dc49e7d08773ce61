#include "wholemount/ops/elementwise/probabilities.h"

#include <cmath>

#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/elementwise/probability_rows.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// Tasks hold all channels of a band of rows.
SlabTasks voxel_tasks(const TensorDesc& desc) {
  const int64_t bytes =
      std::max<int64_t>(16384, (int64_t{512} << 10) / std::max<int64_t>(desc.c, 1));
  return SlabTasks(TensorDesc::plain(desc.n, 1, desc.extent), bytes);
}

int64_t traffic(const PrepareContext& context) {
  int64_t bytes = static_cast<int64_t>(context.outputs[0].bytes());
  for (const TensorDesc& desc : context.inputs) bytes += static_cast<int64_t>(desc.bytes());
  return bytes;
}

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

const char* kind_name(ProbabilityKind kind) {
  return kind == ProbabilityKind::sigmoid ? "sigmoid" : "softmax";
}

void check_logits(const std::string& op_name, const TensorDesc& logits) {
  if ((logits.dtype == DType::f32 || logits.dtype == DType::f64) && logits.c >= 1) return;
  throw ShapeError(op_name + ": logits are " + to_string(logits) + ", wanted f32 or f64");
}

/// Calls body(d, h, w) for the voxels of a task.
template <class Body>
void for_each_voxel(const Box3& box, Body body) {
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      for (int64_t w = box.begin.w; w < box.end.w; ++w) body(d, h, w);
    }
  }
}

/// The lanes beyond c of one voxel become zero.
template <class T>
void zero_lanes(const TensorView& view, int64_t n, int64_t d, int64_t h, int64_t w) {
  for (int64_t c = view.desc.c; c % view.desc.block_width() != 0; ++c) {
    element<T>(view, n, c, d, h, w) = T{0};
  }
}

template <class T>
class ProbabilitiesReference final : public SlabKernel {
 public:
  ProbabilitiesReference(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel(std::string(kind_name(kind)) + "_reference", voxel_tasks(context.inputs[0]),
                   4 * context.outputs[0].num_elements(), traffic(context)),
        kind_(kind) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    const int64_t n = task.n;
    for_each_voxel(task.box, [&](int64_t d, int64_t h, int64_t w) {
      if (kind_ == ProbabilityKind::sigmoid) {
        for (int64_t c = 0; c < x.desc.c; ++c) {
          element<T>(y, n, c, d, h, w) = T{1} / (T{1} + std::exp(-element<T>(x, n, c, d, h, w)));
        }
      } else {
        softmax(x, y, n, d, h, w);
      }
      zero_lanes<T>(y, n, d, h, w);
    });
  }

 private:
  static void softmax(const TensorView& x, const TensorView& y, int64_t n, int64_t d, int64_t h,
                      int64_t w) {
    T greatest = element<T>(x, n, 0, d, h, w);
    for (int64_t c = 1; c < x.desc.c; ++c) {
      greatest = std::max(greatest, element<T>(x, n, c, d, h, w));
    }
    T sum{0};
    for (int64_t c = 0; c < x.desc.c; ++c) {
      const T e = std::exp(element<T>(x, n, c, d, h, w) - greatest);
      element<T>(y, n, c, d, h, w) = e;
      sum += e;
    }
    for (int64_t c = 0; c < x.desc.c; ++c) element<T>(y, n, c, d, h, w) /= sum;
  }

  ProbabilityKind kind_;
};

class ProbabilitiesKernel final : public SlabKernel {
 public:
  ProbabilitiesKernel(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel(std::string(kind_name(kind)) + "_" + std::string(isa_name(context.target.isa)),
                   voxel_tasks(context.inputs[0]), 4 * context.outputs[0].num_elements(),
                   traffic(context)),
        row_(kind == ProbabilityKind::sigmoid ? WM_PICK_ISA(context.target.isa, sigmoid_row)
                                              : WM_PICK_ISA(context.target.isa, softmax_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    const int64_t width = x.desc.block_width();
    for_each_run(task.box, {&x, &y}, [&](int64_t d, int64_t h, int64_t count) {
      row_({{x.desc.c, width, count / width},
            x.at<float>(task.n, 0, d, h),
            x.block_pitch,
            y.at<float>(task.n, 0, d, h),
            y.block_pitch});
    });
  }

 private:
  void (*row_)(const ProbabilityRow&);
};

template <class T>
class ProbabilitiesBackwardReference final : public SlabKernel {
 public:
  ProbabilitiesBackwardReference(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel(std::string(kind_name(kind)) + "_backward_reference",
                   voxel_tasks(context.inputs[0]), 4 * context.outputs[0].num_elements(),
                   traffic(context)),
        kind_(kind) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& p = args.inputs[0].view;
    const TensorView& grad_p = args.inputs[1].view;
    const TensorView& grad_x = args.outputs[0].view;
    const int64_t n = task.n;
    for_each_voxel(task.box, [&](int64_t d, int64_t h, int64_t w) {
      T dot{0};
      for (int64_t c = 0; c < p.desc.c; ++c) {
        dot += element<T>(p, n, c, d, h, w) * element<T>(grad_p, n, c, d, h, w);
      }
      for (int64_t c = 0; c < p.desc.c; ++c) {
        const T y = element<T>(p, n, c, d, h, w);
        const T gradient = element<T>(grad_p, n, c, d, h, w);
        element<T>(grad_x, n, c, d, h, w) =
            kind_ == ProbabilityKind::sigmoid ? gradient * y * (T{1} - y) : y * (gradient - dot);
      }
      zero_lanes<T>(grad_x, n, d, h, w);
    });
  }

 private:
  ProbabilityKind kind_;
};

class ProbabilitiesBackwardKernel final : public SlabKernel {
 public:
  ProbabilitiesBackwardKernel(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel(
            std::string(kind_name(kind)) + "_backward_" + std::string(isa_name(context.target.isa)),
            voxel_tasks(context.inputs[0]), 4 * context.outputs[0].num_elements(),
            traffic(context)),
        row_(kind == ProbabilityKind::sigmoid
                 ? WM_PICK_ISA(context.target.isa, sigmoid_backward_row)
                 : WM_PICK_ISA(context.target.isa, softmax_backward_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& p = args.inputs[0].view;
    const TensorView& grad_p = args.inputs[1].view;
    const TensorView& grad_x = args.outputs[0].view;
    const int64_t width = p.desc.block_width();
    for_each_run(task.box, {&p, &grad_p, &grad_x}, [&](int64_t d, int64_t h, int64_t count) {
      row_({{p.desc.c, width, count / width},
            p.at<float>(task.n, 0, d, h),
            p.block_pitch,
            grad_p.at<float>(task.n, 0, d, h),
            grad_p.block_pitch,
            grad_x.at<float>(task.n, 0, d, h),
            grad_x.block_pitch});
    });
  }

 private:
  void (*row_)(const ProbabilityBackwardRow&);
};

/// What the three operators share: each voxel by itself.
class ProbabilityOpBase : public Op {
 public:
  explicit ProbabilityOpBase(ProbabilityKind kind) : kind_(kind) {}
  [[nodiscard]] std::string attributes() const override { return kind_name(kind_); }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }

 protected:
  ProbabilityKind kind_;
};

/// Inputs {p, grad_p}, output {grad_x}.
class ProbabilitiesBackwardOp final : public ProbabilityOpBase {
 public:
  using ProbabilityOpBase::ProbabilityOpBase;
  [[nodiscard]] std::string name() const override { return "probabilities_backward"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_logits(name(), inputs[0]);
    if (inputs[0] != inputs[1]) {
      throw ShapeError("probabilities_backward: gradient is " + to_string(inputs[1]) + ", wanted " +
                       to_string(inputs[0]));
    }
    return {inputs[1]};
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 1; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<ProbabilitiesBackwardReference<double>>(context, kind_);
    }
    if (wants_reference(context)) {
      return std::make_shared<ProbabilitiesBackwardReference<float>>(context, kind_);
    }
    return std::make_shared<ProbabilitiesBackwardKernel>(context, kind_);
  }
};

class ProbabilitiesOp final : public ProbabilityOpBase {
 public:
  using ProbabilityOpBase::ProbabilityOpBase;
  [[nodiscard]] std::string name() const override { return "probabilities"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_logits(name(), inputs[0]);
    return {inputs[0]};
  }
  [[nodiscard]] bool may_overwrite(int /*input*/, int /*output*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId p = node.outputs[0];
    const ValueId grad_p = scope.gradient(p);
    if (grad_p == kNone || !scope.wanted(node.inputs[0])) return;
    scope.contribute(node.inputs[0], scope.builder()
                                         .add(std::make_shared<ProbabilitiesBackwardOp>(kind_),
                                              {p, grad_p}, node.name + ".backward")
                                         .front());
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<ProbabilitiesReference<double>>(context, kind_);
    }
    if (wants_reference(context)) {
      return std::make_shared<ProbabilitiesReference<float>>(context, kind_);
    }
    return std::make_shared<ProbabilitiesKernel>(context, kind_);
  }
};

template <class T>
class LabelsReference final : public SlabKernel {
 public:
  LabelsReference(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel("predict_labels_reference", voxel_tasks(context.inputs[0]),
                   context.inputs[0].num_elements(), traffic(context)),
        kind_(kind) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& y = args.outputs[0].view;
    if (args.decisions.empty()) {
      label<T>(task, args.inputs[0].view, y);
    } else {
      label<float>(task, args.decisions[0].view, y);
    }
  }

 private:
  template <class Logit>
  void label(const SlabTasks::Task& task, const TensorView& x, const TensorView& y) const {
    for_each_voxel(task.box, [&](int64_t d, int64_t h, int64_t w) {
      const auto logit = [&](int64_t c) { return element<Logit>(x, task.n, c, d, h, w); };
      int64_t bits = 0;
      int64_t greatest = 0;
      for (int64_t c = 0; c < x.desc.c; ++c) {
        if (logit(c) > logit(greatest)) greatest = c;
        if (kind_ == ProbabilityKind::sigmoid && logit(c) > Logit{0}) bits |= int64_t{1} << c;
      }
      *y.at<uint8_t>(task.n, 0, d, h, w) =
          static_cast<uint8_t>(kind_ == ProbabilityKind::sigmoid ? bits : greatest);
    });
  }

  ProbabilityKind kind_;
};

class LabelsKernel final : public SlabKernel {
 public:
  LabelsKernel(const PrepareContext& context, ProbabilityKind kind)
      : SlabKernel("predict_labels_" + std::string(isa_name(context.target.isa)),
                   voxel_tasks(context.inputs[0]), context.inputs[0].num_elements(),
                   traffic(context)),
        row_(kind == ProbabilityKind::sigmoid ? WM_PICK_ISA(context.target.isa, sign_bits_row)
                                              : WM_PICK_ISA(context.target.isa, argmax_row)) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    const Box3& box = task.box;
    for (int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (int64_t h = box.begin.h; h < box.end.h; ++h) {
        row_({{x.desc.c, x.desc.block_width(), x.desc.extent.w},
              x.at<float>(task.n, 0, d, h),
              x.block_pitch,
              y.at<uint8_t>(task.n, 0, d, h)});
      }
    }
  }

 private:
  void (*row_)(const LabelRow&);
};

class PredictLabelsOp final : public ProbabilityOpBase {
 public:
  using ProbabilityOpBase::ProbabilityOpBase;
  [[nodiscard]] std::string name() const override { return "predict_labels"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_logits(name(), inputs[0]);
    const int64_t most = kind_ == ProbabilityKind::sigmoid ? 8 : 256;
    if (inputs[0].c > most) {
      throw ShapeError("predict_labels: logits are " + to_string(inputs[0]) + ", wanted at most " +
                       std::to_string(most) + " channels: a label is one byte");
    }
    return {TensorDesc::plain(inputs[0].n, 1, inputs[0].extent, DType::u8)};
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<LabelsReference<double>>(context, kind_);
    }
    if (wants_reference(context)) return std::make_shared<LabelsReference<float>>(context, kind_);
    return std::make_shared<LabelsKernel>(context, kind_);
  }
};

}  // namespace

ValueId probabilities(GraphBuilder& builder, ProbabilityKind kind, ValueId logits,
                      const std::string& name) {
  return builder.add(std::make_shared<ProbabilitiesOp>(kind), {logits}, name).front();
}

ValueId predict_labels(GraphBuilder& builder, ProbabilityKind kind, ValueId logits,
                       const std::string& name) {
  return builder.add(std::make_shared<PredictLabelsOp>(kind), {logits}, name).front();
}

}  // namespace wholemount
