#include "wholemount/base/cpu.h"
#include "wholemount/ops/pool/max_pool_kernels.h"
#include "wholemount/ops/pool/max_pool_overlap_rows.h"
#include "wholemount/ops/pool/max_pool_windows.h"

namespace wholemount {

namespace {

/// Larger gradients leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;

AxisRange voxels_of_band(const PoolAxis& axis, int64_t begin, int64_t end) {
  return {begin == 0 ? 0 : std::max<int64_t>(begin * axis.stride - axis.padding, 0),
          end == axis.output ? axis.input : std::max<int64_t>(end * axis.stride - axis.padding, 0)};
}

bool share_voxels(const PoolAxis& axis) { return axis.kernel > axis.stride && axis.output > 1; }

WindowTasks tasks_of(const PoolGeometry& geometry, const TensorDesc& x) {
  return share_voxels(geometry.d) || share_voxels(geometry.h) ? WindowTasks::squares(geometry, x)
                                                              : WindowTasks::bands(geometry, x);
}

/// A task is a box of rows of windows with the voxels from their first tap up to the next box's; so
/// that where windows do not overlap each is looked at once. It first finds the maxima of all
/// windows that touch its voxels.
class MaxPoolBackwardKernel final : public Kernel {
 public:
  MaxPoolBackwardKernel(const PoolSpec& spec, bool rectified, const PrepareContext& context)
      : geometry_("max_pool_backward", spec, context.inputs[0].extent),
        rectified_(rectified),
        tasks_(tasks_of(geometry_, context.inputs[0])),
        isa_(context.target.isa),
        blocked_(context.inputs[0].block_width() == 16),
        overlapping_(blocked_ && geometry_.w.kernel == 3 && geometry_.w.stride == 2),
        by_planes_(overlapping_ && geometry_.h.kernel <= kMaxPlaneTapsH),
        find_row_(WM_PICK_ISA(context.target.isa, max_pool_row)),
        find_plane_row_(WM_PICK_ISA(context.target.isa, plane_maxima_row)),
        join_row_(WM_PICK_ISA(context.target.isa, join_maxima_row)),
        backward_row_(overlapping_ ? WM_PICK_ISA(context.target.isa, overlap_backward_row)
                                   : WM_PICK_ISA(context.target.isa, max_pool_backward_row)),
        row_floats_(checked_multiply(geometry_.w.output, context.inputs[0].block_width())) {
    for (const TensorDesc& desc : context.inputs) traffic_ += static_cast<int64_t>(desc.bytes());
    traffic_ += static_cast<int64_t>(context.outputs[0].bytes());
    // Where windows share voxels a row of other kernels takes long to make, and streaming gains
    // nothing (measured: loses).
    stream_ = static_cast<int64_t>(context.outputs[0].bytes()) >= kStreamBytes &&
              (overlapping_ || !share_voxels(geometry_.w));
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
  [[nodiscard]] bool reads_bfloat16(int input) const override { return input == 0 && blocked_; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    // Values beside the positions, and a row of both of one plane.
    const int64_t rows = by_planes_ ? checked_multiply(2, scratch_rows_ + 1) : scratch_rows_;
    return static_cast<size_t>(checked_multiply(rows, row_floats_)) * sizeof(float);
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
    if (!windows.empty()) {
      by_planes_ ? find_maxima_by_planes(task, windows, args, taps)
                 : find_maxima(task, windows, args, taps);
    }
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
    MaxPoolRow row = max_pool_row_of(geometry_, x, lanes);
    row.tap = taps;
    row.positive_taps = rectified_;
    for (int64_t od = windows.begin.d; od < windows.end.d; ++od) {
      for (int64_t oh = windows.begin.h; oh < windows.end.h; ++oh) {
        aim(row, geometry_, x, task, od, oh);
        find_row_(row);
        row.tap += row_floats_;
      }
    }
  }

  void find_maxima_by_planes(const SlabTasks::Task& task, const Box3& windows,
                             const KernelArgs& args, float* taps) const {
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    const int64_t rows_h = windows.extent().h;
    float* values = taps + windows.extent().d * rows_h * row_floats_;
    PlaneMaximaRow row{};
    row.value = values + windows.extent().d * rows_h * row_floats_;
    row.tap = row.value + row_floats_;
    row.bfloat16 = x.is_bfloat16();
    row.row_pitch = x.row_pitch;
    row.width = geometry_.w.input;
    row.padding_w = geometry_.w.padding;
    row.num_outputs = geometry_.w.output;
    row.scale = lanes.scale;
    row.shift = lanes.shift;
    row.slope = lanes.slope;
    const Box3 voxels = geometry_.voxels_of(windows);
    for (int64_t d = voxels.begin.d; d < voxels.end.d; ++d) {
      const AxisRange touching = geometry_.d.windows_touching(d, d + 1);
      const int64_t od_begin = std::max(touching.begin, windows.begin.d);
      const int64_t od_end = std::min(touching.end, windows.end.d);
      if (od_begin >= od_end) continue;
      for (int64_t oh = windows.begin.h; oh < windows.end.h; ++oh) {
        const AxisRange h = geometry_.h.voxels_of(oh);
        row.x = x.address(task.n, task.block, d, h.begin);
        row.taps_h = h.end - h.begin;
        row.first_tap =
            (h.begin + geometry_.h.padding - oh * geometry_.h.stride) * geometry_.w.kernel;
        find_plane_row_(row);
        for (int64_t od = od_begin; od < od_end; ++od) {
          const int64_t kd = d + geometry_.d.padding - od * geometry_.d.stride;
          const int64_t at = ((od - windows.begin.d) * rows_h + oh - windows.begin.h) * row_floats_;
          join_row_(
              {row.value, row.tap, static_cast<float>(kd * geometry_.h.kernel * geometry_.w.kernel),
               geometry_.w.output, d == geometry_.d.voxels_of(od).begin, values + at, taps + at});
        }
      }
    }
    if (rectified_) {
      WM_PICK_ISA(isa_, keep_positive_taps)
      (values, taps, windows.extent().d * rows_h * row_floats_);
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
  bool rectified_;
  WindowTasks tasks_;
  Isa isa_;
  bool blocked_;
  bool overlapping_;  ///< blocked, three wide and two apart
  bool by_planes_;    ///< and maxima found plane by plane
  void (*find_row_)(const MaxPoolRow&);
  void (*find_plane_row_)(const PlaneMaximaRow&);
  void (*join_row_)(const JoinedMaximaRow&);
  void (*backward_row_)(const MaxPoolBackwardRow&);
  int64_t row_floats_;
  int64_t scratch_rows_ = 0;
  bool stream_ = false;
  int64_t flops_ = 0;
  int64_t traffic_ = 0;
};

}  // namespace

std::shared_ptr<const Kernel> make_max_pool_backward_kernel(const PoolSpec& spec, bool rectified,
                                                            const PrepareContext& context) {
  return std::make_shared<MaxPoolBackwardKernel>(spec, rectified, context);
}

}  // namespace wholemount
