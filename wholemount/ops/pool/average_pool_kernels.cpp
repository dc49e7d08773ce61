#include "wholemount/ops/pool/average_pool_kernels.h"

#include <vector>

#include "wholemount/ops/pool/average_pool_rows.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

constexpr float kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr float kZeros[16] = {};

/// 1 / number of voxels of window o on one axis.
float share(const PoolAxis& axis, int64_t o) {
  const AxisRange voxels = axis.voxels_of(o);
  return 1.0F / static_cast<float>(voxels.end - voxels.begin);
}

/// Both directions first sum rows over d and h into the scratch row, then work along w.
class AveragePoolKernelBase : public Kernel {
 public:
  AveragePoolKernelBase(const char* name, const PoolSpec& spec, const TensorDesc& x,
                        const TensorDesc& written, const PrepareContext& context)
      : geometry_("average_pool", spec, x.extent),
        tasks_(written,
               written.extent == x.extent ? SlabTasks::kTaskBytes : geometry_.task_bytes()),
        block_width_(x.block_width()),
        add_row_(WM_PICK_ISA(context.target.isa, add_weighted_row)),
        name_(std::string(name) + "_" + std::string(isa_name(context.target.isa))),
        flops_(checked_multiply(x.num_elements(), 2)) {
    for (const TensorDesc& desc : context.inputs) traffic_ += static_cast<int64_t>(desc.bytes());
    traffic_ += static_cast<int64_t>(context.outputs[0].bytes());
    for (int64_t o = 0; o < geometry_.w.output; ++o) shares_w_.push_back(share(geometry_.w, o));
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.at(task).box;
  }

 protected:
  [[nodiscard]] WindowsRow windows_row(const float* scratch) const {
    return {scratch,
            nullptr,
            nullptr,
            block_width_,
            geometry_.w.input,
            geometry_.w.kernel,
            geometry_.w.stride,
            geometry_.w.padding,
            geometry_.w.output,
            shares_w_.data()};
  }

  PoolGeometry geometry_;
  SlabTasks tasks_;
  int64_t block_width_;
  void (*add_row_)(const WeightedRow&);

 private:
  std::string name_;
  int64_t flops_;
  int64_t traffic_ = 0;
  std::vector<float> shares_w_;
};

class AveragePoolKernel final : public AveragePoolKernelBase {
 public:
  AveragePoolKernel(const PoolSpec& spec, const PrepareContext& context)
      : AveragePoolKernelBase("average_pool", spec, context.inputs[0], context.outputs[0], context),
        average_(WM_PICK_ISA(context.target.isa, average_windows_row)) {}
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(checked_multiply(geometry_.w.input, block_width_)) * sizeof(float);
  }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return geometry_.voxels_of(tasks_.at(task).box);
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    auto* scratch = reinterpret_cast<float*>(args.thread_scratch);
    WindowsRow windows = windows_row(scratch);
    for (int64_t od = task.box.begin.d; od < task.box.end.d; ++od) {
      const AxisRange d = geometry_.d.voxels_of(od);
      for (int64_t oh = task.box.begin.h; oh < task.box.end.h; ++oh) {
        const AxisRange h = geometry_.h.voxels_of(oh);
        const float weight = share(geometry_.d, od) * share(geometry_.h, oh);
        for (int64_t id = d.begin; id < d.end; ++id) {
          for (int64_t ih = h.begin; ih < h.end; ++ih) {
            add_row_({x.at<float>(task.n, task.block, id, ih), scratch,
                      geometry_.w.input * block_width_, lanes.scale, lanes.shift, lanes.slope,
                      weight, id != d.begin || ih != h.begin});
          }
        }
        windows.y = args.outputs[0].view.at<float>(task.n, task.block, od, oh);
        average_(windows);
      }
    }
  }

 private:
  void (*average_)(const WindowsRow&);
};

class AveragePoolBackwardKernel final : public AveragePoolKernelBase {
 public:
  AveragePoolBackwardKernel(const PoolSpec& spec, const PrepareContext& context)
      : AveragePoolKernelBase("average_pool_backward", spec, context.outputs[0], context.outputs[0],
                              context),
        spread_(WM_PICK_ISA(context.target.isa, spread_windows_row)) {}
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(checked_multiply(geometry_.w.output, block_width_)) * sizeof(float);
  }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int input) const override {
    const Box3 box = tasks_.at(task).box;
    return input == 1 ? box : geometry_.windows_touching(box);
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& grad_y = args.inputs[0].view;
    const TensorView& base = args.inputs[1].view;
    auto* scratch = reinterpret_cast<float*>(args.thread_scratch);
    WindowsRow windows = windows_row(scratch);
    for (int64_t id = task.box.begin.d; id < task.box.end.d; ++id) {
      const AxisRange d = geometry_.d.windows_touching(id, id + 1);
      for (int64_t ih = task.box.begin.h; ih < task.box.end.h; ++ih) {
        const AxisRange h = geometry_.h.windows_touching(ih, ih + 1);
        bool begun = false;
        for (int64_t od = d.begin; od < d.end; ++od) {
          for (int64_t oh = h.begin; oh < h.end; ++oh) {
            add_row_({grad_y.at<float>(task.n, task.block, od, oh), scratch,
                      geometry_.w.output * block_width_, kOnes, kZeros, 1.0F,
                      share(geometry_.d, od) * share(geometry_.h, oh), begun});
            begun = true;
          }
        }
        // A row between the windows only passes its base on.
        windows.num_windows = begun ? geometry_.w.output : 0;
        windows.base = base.desc.n == 0 ? nullptr : base.at<float>(task.n, task.block, id, ih);
        windows.y = args.outputs[0].view.at<float>(task.n, task.block, id, ih);
        spread_(windows);
      }
    }
  }

 private:
  void (*spread_)(const WindowsRow&);
};

}  // namespace

std::shared_ptr<const Kernel> make_average_pool_kernel(const PoolSpec& spec,
                                                       const PrepareContext& context) {
  return std::make_shared<AveragePoolKernel>(spec, context);
}

std::shared_ptr<const Kernel> make_average_pool_backward_kernel(const PoolSpec& spec,
                                                                const PrepareContext& context) {
  return std::make_shared<AveragePoolBackwardKernel>(spec, context);
}

}  // namespace wholemount
