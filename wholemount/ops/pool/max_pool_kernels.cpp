#include "wholemount/ops/pool/max_pool_kernels.h"

#include "wholemount/base/cpu.h"
#include "wholemount/ops/pool/max_pool_rows.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

/// Larger gradients leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;

/// What is the same for all rows of a task.
MaxPoolRow row_template(const PoolGeometry& geometry, const TensorView& x,
                        const LaneTransform& lanes) {
  MaxPoolRow row{};
  row.plane_pitch = x.plane_pitch;
  row.row_pitch = x.row_pitch;
  row.block_width = x.desc.block_width();
  row.width = geometry.w.input;
  row.kernel_w = geometry.w.kernel;
  row.stride_w = geometry.w.stride;
  row.padding_w = geometry.w.padding;
  row.num_outputs = geometry.w.output;
  row.scale = lanes.scale;
  row.shift = lanes.shift;
  row.slope = lanes.slope;
  row.tap_plane_pitch = geometry.h.kernel * geometry.w.kernel;
  return row;
}

/// Points the row at the input rows of windows (od, oh).
void aim(MaxPoolRow& row, const PoolGeometry& geometry, const TensorView& x,
         const SlabTasks::Task& task, int64_t od, int64_t oh) {
  const AxisRange d = geometry.d.voxels_of(od);
  const AxisRange h = geometry.h.voxels_of(oh);
  row.x = x.at<float>(task.n, task.block, d.begin, h.begin);
  row.taps_d = d.end - d.begin;
  row.taps_h = h.end - h.begin;
  const int64_t kd = d.begin + geometry.d.padding - od * geometry.d.stride;
  const int64_t kh = h.begin + geometry.h.padding - oh * geometry.h.stride;
  row.first_tap = (kd * geometry.h.kernel + kh) * geometry.w.kernel;
}

class MaxPoolKernel final : public Kernel {
 public:
  MaxPoolKernel(const PoolSpec& spec, const PrepareContext& context)
      : geometry_("max_pool", spec, context.inputs[0].extent),
        tasks_(context.outputs[0], geometry_.task_bytes()),
        isa_(context.target.isa),
        row_(WM_PICK_ISA(context.target.isa, max_pool_row)),
        flops_(checked_multiply(context.outputs[0].num_elements(), geometry_.window_size())),
        traffic_(static_cast<int64_t>(context.inputs[0].bytes() + context.outputs[0].bytes())) {}

  [[nodiscard]] std::string name() const override {
    return "max_pool_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return geometry_.voxels_of(tasks_.at(task).box);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.at(task).box;
  }

  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    MaxPoolRow row = row_template(geometry_, x, lanes);
    for (int64_t od = task.box.begin.d; od < task.box.end.d; ++od) {
      for (int64_t oh = task.box.begin.h; oh < task.box.end.h; ++oh) {
        aim(row, geometry_, x, task, od, oh);
        row.y = args.outputs[0].view.at<float>(task.n, task.block, od, oh);
        row_(row);
      }
    }
  }

 private:
  PoolGeometry geometry_;
  SlabTasks tasks_;
  Isa isa_;
  void (*row_)(const MaxPoolRow&);
  int64_t flops_;
  int64_t traffic_;
};

/// A task is a band of windows with the voxels from their first tap up to the next band's; so that
/// where windows do not overlap each is looked at once.
TensorDesc window_grid(const PoolGeometry& geometry, const TensorDesc& x) {
  TensorDesc grid = x;
  const int64_t voxels_per_window_row = checked_multiply(
      std::min(geometry.d.stride, geometry.d.input), std::min(geometry.h.stride, geometry.h.input));
  grid.extent = {geometry.d.output, geometry.h.output,
                 checked_multiply(geometry.w.input, voxels_per_window_row)};
  return grid;
}

AxisRange voxels_of_band(const PoolAxis& axis, int64_t begin, int64_t end) {
  return {begin == 0 ? 0 : std::max<int64_t>(begin * axis.stride - axis.padding, 0),
          end == axis.output ? axis.input : std::max<int64_t>(end * axis.stride - axis.padding, 0)};
}

class MaxPoolBackwardKernel final : public Kernel {
 public:
  MaxPoolBackwardKernel(const PoolSpec& spec, const PrepareContext& context)
      : geometry_("max_pool_backward", spec, context.inputs[0].extent),
        tasks_(window_grid(geometry_, context.inputs[0])),
        isa_(context.target.isa),
        find_row_(WM_PICK_ISA(context.target.isa, max_pool_row)),
        backward_row_(WM_PICK_ISA(context.target.isa, max_pool_backward_row)),
        row_floats_(checked_multiply(geometry_.w.output, context.inputs[0].block_width())) {
    for (const TensorDesc& desc : context.inputs) traffic_ += static_cast<int64_t>(desc.bytes());
    traffic_ += static_cast<int64_t>(context.outputs[0].bytes());
    // Where windows overlap a row takes long to make, and streaming gains nothing (measured:
    // loses).
    stream_ = static_cast<int64_t>(context.outputs[0].bytes()) >= kStreamBytes &&
              geometry_.w.kernel <= geometry_.w.stride;
    flops_ = checked_multiply(context.inputs[1].num_elements(), geometry_.window_size());
    // All interior bands are alike; the first and the last hold at most the rest.
    for (int64_t task = 0; task < tasks_.count(); ++task) {
      const SlabTasks::Task band = tasks_.at(task);
      if (band.n > 0 || band.block > 0) break;
      const Extent3 windows = geometry_.windows_touching(voxels(band)).extent();
      scratch_rows_ = std::max(scratch_rows_, checked_multiply(windows.d, windows.h));
    }
  }

  [[nodiscard]] std::string name() const override {
    return "max_pool_backward_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(checked_multiply(scratch_rows_, row_floats_)) * sizeof(float);
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int input) const override {
    const Box3 box = voxels(tasks_.at(task));
    if (input == 2) return box;
    const Box3 windows = geometry_.windows_touching(box);
    return input == 1 ? windows : geometry_.voxels_of(windows);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return voxels(tasks_.at(task));
  }

  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const Box3 box = voxels(task);
    const Box3 windows = geometry_.windows_touching(box);
    auto* taps = reinterpret_cast<float*>(args.thread_scratch);
    if (!windows.empty()) find_maxima(task, windows, args, taps);
    for (int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (int64_t h = box.begin.h; h < box.end.h; ++h) {
        gather_row(task, windows, d, h, args, taps);
      }
    }
    if (stream_) stream_fence();
  }

 private:
  [[nodiscard]] Box3 voxels(const SlabTasks::Task& band) const {
    const AxisRange d = voxels_of_band(geometry_.d, band.box.begin.d, band.box.end.d);
    const AxisRange h = voxels_of_band(geometry_.h, band.box.begin.h, band.box.end.h);
    return {{d.begin, h.begin, 0}, {d.end, h.end, geometry_.w.input}};
  }

  void find_maxima(const SlabTasks::Task& task, const Box3& windows, const KernelArgs& args,
                   float* taps) const {
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    MaxPoolRow row = row_template(geometry_, x, lanes);
    row.tap = taps;
    for (int64_t od = windows.begin.d; od < windows.end.d; ++od) {
      for (int64_t oh = windows.begin.h; oh < windows.end.h; ++oh) {
        aim(row, geometry_, x, task, od, oh);
        find_row_(row);
        row.tap += row_floats_;
      }
    }
  }

  void gather_row(const SlabTasks::Task& task, const Box3& windows, int64_t d, int64_t h,
                  const KernelArgs& args, const float* taps) const {
    const TensorView& grad_y = args.inputs[1].view;
    const TensorView& base = args.inputs[2].view;
    const TensorView& grad_x = args.outputs[0].view;
    const AxisRange od = geometry_.d.windows_touching(d, d + 1);
    const AxisRange oh = geometry_.h.windows_touching(h, h + 1);
    MaxPoolBackwardRow row{};
    row.tap_row_pitch = row_floats_;
    row.tap_plane_pitch = windows.extent().h * row_floats_;
    if (od.begin < od.end && oh.begin < oh.end) {
      row.windows_d = od.end - od.begin;
      row.windows_h = oh.end - oh.begin;
      row.grad_y = grad_y.at<float>(task.n, task.block, od.begin, oh.begin);
      row.tap = taps + (od.begin - windows.begin.d) * row.tap_plane_pitch +
                (oh.begin - windows.begin.h) * row.tap_row_pitch;
    }
    row.grad_plane_pitch = grad_y.plane_pitch;
    row.grad_row_pitch = grad_y.row_pitch;
    const int64_t kd = d + geometry_.d.padding - od.begin * geometry_.d.stride;
    const int64_t kh = h + geometry_.h.padding - oh.begin * geometry_.h.stride;
    row.first_position = (kd * geometry_.h.kernel + kh) * geometry_.w.kernel;
    row.position_step_d = geometry_.d.stride * geometry_.h.kernel * geometry_.w.kernel;
    row.position_step_h = geometry_.h.stride * geometry_.w.kernel;
    row.block_width = grad_x.desc.block_width();
    row.width = geometry_.w.input;
    row.kernel_w = geometry_.w.kernel;
    row.stride_w = geometry_.w.stride;
    row.padding_w = geometry_.w.padding;
    row.num_windows_w = geometry_.w.output;
    row.base = base.desc.n == 0 ? nullptr : base.at<float>(task.n, task.block, d, h);
    row.grad_x = grad_x.at<float>(task.n, task.block, d, h);
    row.stream = stream_ && row.base != row.grad_x && row.block_width == 16 &&
                 reinterpret_cast<uintptr_t>(row.grad_x) % 64 == 0;
    backward_row_(row);
  }

  PoolGeometry geometry_;
  SlabTasks tasks_;
  Isa isa_;
  void (*find_row_)(const MaxPoolRow&);
  void (*backward_row_)(const MaxPoolBackwardRow&);
  int64_t row_floats_;
  int64_t scratch_rows_ = 0;
  bool stream_ = false;
  int64_t flops_ = 0;
  int64_t traffic_ = 0;
};

}  // namespace

std::shared_ptr<const Kernel> make_max_pool_kernel(const PoolSpec& spec,
                                                   const PrepareContext& context) {
  return std::make_shared<MaxPoolKernel>(spec, context);
}

std::shared_ptr<const Kernel> make_max_pool_backward_kernel(const PoolSpec& spec,
                                                            const PrepareContext& context) {
  return std::make_shared<MaxPoolBackwardKernel>(spec, context);
}

}  // namespace wholemount
