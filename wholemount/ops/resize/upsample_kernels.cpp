#include "wholemount/ops/resize/upsample_kernels.h"

#include "wholemount/base/cpu.h"
#include "wholemount/ops/resize/upsample_axis.h"
#include "wholemount/ops/resize/upsample_rows.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr size_t kStreamBytes = size_t{16} << 20;
constexpr float kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr float kZeros[16] = {};

/// Gathers weighted rows into the scratch row, four at a time.
class RowSum {
 public:
  RowSum(void (*combine)(const CombineRows&), const LaneTransform* lanes, bool identity, float* y,
         int64_t count)
      : combine_(combine) {
    rows_.scale = lanes == nullptr ? kOnes : lanes->scale;
    rows_.shift = lanes == nullptr ? kZeros : lanes->shift;
    rows_.slope = lanes == nullptr ? 1.0F : lanes->slope;
    rows_.identity = identity;
    rows_.y = y;
    rows_.count = count;
  }
  void add(const float* x, double weight) {
    if (rows_.num_rows == 4) flush();
    rows_.x[rows_.num_rows] = x;
    rows_.weight[rows_.num_rows] = static_cast<float>(weight);
    ++rows_.num_rows;
  }
  void flush() {
    combine_(rows_);
    rows_.accumulate = true;
    rows_.num_rows = 0;
  }

 private:
  void (*combine_)(const CombineRows&);
  CombineRows rows_{};
};

/// Common to both directions; `written` is what the tasks cut.
class UpsampleKernelBase : public Kernel {
 public:
  UpsampleKernelBase(const char* name, const UpsampleSpec& spec, const TensorDesc& x,
                     const TensorDesc& y, const TensorDesc& written, Isa isa)
      : geometry_(spec, x.extent),
        tasks_(written),
        block_width_(x.block_width()),
        combine_(WM_PICK_ISA(isa, combine_rows)),
        name_(std::string(name) + "_" + std::string(isa_name(isa))),
        flops_(checked_multiply(y.num_elements(), 6)),
        traffic_(static_cast<int64_t>(x.bytes() + y.bytes())) {}
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.at(task).box;
  }

 protected:
  UpsampleGeometry geometry_;
  SlabTasks tasks_;
  int64_t block_width_;
  void (*combine_)(const CombineRows&);

 private:
  std::string name_;
  int64_t flops_;
  int64_t traffic_;
};

class UpsampleKernel final : public UpsampleKernelBase {
 public:
  UpsampleKernel(const UpsampleSpec& spec, const PrepareContext& context)
      : UpsampleKernelBase("upsample", spec, context.inputs[0], context.outputs[0],
                           context.outputs[0], context.target.isa),
        expand_(WM_PICK_ISA(context.target.isa, expand_row)) {
    // An inner voxel of a row that is long enough shows the weights of every phase.
    const UpsampleAxis inner(spec.mode, spec.factor.w, 3);
    for (int64_t phase = 0; phase < spec.factor.w; ++phase) {
      const UpsampleAxis::Taps taps = inner.taps(spec.factor.w + phase);
      if (taps.first == 0) ++begins_before_;
      weights_.push_back(static_cast<float>(taps.weight));
    }
  }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(checked_multiply(geometry_.w.input(), block_width_)) * sizeof(float);
  }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return geometry_.inputs_of(tasks_.at(task).box);
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    auto* scratch = reinterpret_cast<float*>(args.thread_scratch);
    ExpandRow expand{
        scratch,         nullptr,       block_width_, geometry_.w.input(), geometry_.w.factor(),
        weights_.data(), begins_before_};
    const TensorView& y = args.outputs[0].view;
    const bool large = block_width_ == 16 && y.desc.bytes() >= kStreamBytes;
    for (int64_t od = task.box.begin.d; od < task.box.end.d; ++od) {
      const UpsampleAxis::Taps d = geometry_.d.taps(od);
      for (int64_t oh = task.box.begin.h; oh < task.box.end.h; ++oh) {
        const UpsampleAxis::Taps h = geometry_.h.taps(oh);
        RowSum sum(combine_, &lanes, args.inputs[0].transform.identity(), scratch,
                   geometry_.w.input() * block_width_);
        const auto add = [&](int64_t id, int64_t ih, double weight) {
          if (weight != 0.0) sum.add(x.at<float>(task.n, task.block, id, ih), weight);
        };
        add(d.first, h.first, (1.0 - d.weight) * (1.0 - h.weight));
        add(d.first, h.second, (1.0 - d.weight) * h.weight);
        add(d.second, h.first, d.weight * (1.0 - h.weight));
        add(d.second, h.second, d.weight * h.weight);
        sum.flush();
        expand.y = y.at<float>(task.n, task.block, od, oh);
        expand.stream = large && reinterpret_cast<uintptr_t>(expand.y) % 64 == 0;
        expand_(expand);
      }
    }
    if (expand.stream) stream_fence();
  }

 private:
  void (*expand_)(const ExpandRow&);
  std::vector<float> weights_;
  int64_t begins_before_ = 0;
};

class UpsampleBackwardKernel final : public UpsampleKernelBase {
 public:
  UpsampleBackwardKernel(const UpsampleSpec& spec, const PrepareContext& context)
      : UpsampleKernelBase("upsample_backward", spec, context.outputs[0], context.inputs[0],
                           context.outputs[0], context.target.isa),
        contract_(WM_PICK_ISA(context.target.isa, contract_row)) {}
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(checked_multiply(geometry_.w.output(), block_width_)) *
           sizeof(float);
  }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return geometry_.outputs_of(tasks_.at(task).box);
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& grad_y = args.inputs[0].view;
    auto* scratch = reinterpret_cast<float*>(args.thread_scratch);
    const int64_t width = geometry_.w.input();
    ContractRow contract{scratch,
                         nullptr,
                         block_width_,
                         width,
                         geometry_.w.factor(),
                         weights(0),
                         weights(std::min<int64_t>(1, width - 1)),
                         weights(width - 1)};
    for (int64_t id = task.box.begin.d; id < task.box.end.d; ++id) {
      const UpsampleAxis::Adjoint d = geometry_.d.adjoint(id);
      for (int64_t ih = task.box.begin.h; ih < task.box.end.h; ++ih) {
        const UpsampleAxis::Adjoint h = geometry_.h.adjoint(ih);
        RowSum sum(combine_, nullptr, true, scratch, geometry_.w.output() * block_width_);
        for (int64_t od = d.begin; od < d.end(); ++od) {
          for (int64_t oh = h.begin; oh < h.end(); ++oh) {
            sum.add(grad_y.at<float>(task.n, task.block, od, oh),
                    static_cast<double>((*d.weights)[static_cast<size_t>(od - d.begin)]) *
                        static_cast<double>((*h.weights)[static_cast<size_t>(oh - h.begin)]));
          }
        }
        sum.flush();
        contract.grad_x = args.outputs[0].view.at<float>(task.n, task.block, id, ih);
        contract_(contract);
      }
    }
  }

 private:
  [[nodiscard]] ContractRow::Weights weights(int64_t i) const {
    const UpsampleAxis::Adjoint adjoint = geometry_.w.adjoint(i);
    return {adjoint.weights->data(), static_cast<int64_t>(adjoint.weights->size()),
            adjoint.begin - i * geometry_.w.factor()};
  }

  void (*contract_)(const ContractRow&);
};

}  // namespace

std::shared_ptr<const Kernel> make_upsample_kernel(const UpsampleSpec& spec,
                                                   const PrepareContext& context) {
  return std::make_shared<UpsampleKernel>(spec, context);
}

std::shared_ptr<const Kernel> make_upsample_backward_kernel(const UpsampleSpec& spec,
                                                            const PrepareContext& context) {
  return std::make_shared<UpsampleBackwardKernel>(spec, context);
}

}  // namespace wholemount
