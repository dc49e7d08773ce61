#include "wholemount/ops/pool/max_pool_windows.h"

#include <cmath>

namespace wholemount {

MaxPoolRow max_pool_row_of(const PoolGeometry& geometry, const TensorView& x,
                           const LaneTransform& lanes) {
  MaxPoolRow row{};
  row.bfloat16 = x.is_bfloat16();
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

void aim(MaxPoolRow& row, const PoolGeometry& geometry, const TensorView& x,
         const SlabTasks::Task& task, int64_t od, int64_t oh) {
  const AxisRange d = geometry.d.voxels_of(od);
  const AxisRange h = geometry.h.voxels_of(oh);
  row.x = x.address(task.n, task.block, d.begin, h.begin);
  row.taps_d = d.end - d.begin;
  row.taps_h = h.end - h.begin;
  const int64_t kd = d.begin + geometry.d.padding - od * geometry.d.stride;
  const int64_t kh = h.begin + geometry.h.padding - oh * geometry.h.stride;
  row.first_tap = (kd * geometry.h.kernel + kh) * geometry.w.kernel;
}

WindowTasks::WindowTasks(const PoolGeometry& geometry, const TensorDesc& x)
    : n_(x.n), blocks_(x.num_blocks()), windows_(geometry.output()) {
  const int64_t voxel_rows = checked_multiply(std::min(geometry.d.stride, geometry.d.input),
                                              std::min(geometry.h.stride, geometry.h.input));
  row_bytes_ = checked_multiply(checked_multiply(geometry.w.input, voxel_rows),
                                checked_multiply(x.block_width(), dtype_bytes(x.dtype)));
}

WindowTasks WindowTasks::bands(const PoolGeometry& geometry, const TensorDesc& x) {
  WindowTasks tasks(geometry, x);
  const int64_t rows = std::max<int64_t>(SlabTasks::kTaskBytes / tasks.row_bytes_, 1);
  tasks.rows_h_ = std::min(rows, tasks.windows_.h);
  if (tasks.rows_h_ == tasks.windows_.h) {
    tasks.rows_d_ = std::clamp<int64_t>(rows / tasks.windows_.h, 1, tasks.windows_.d);
  }
  return tasks;
}

WindowTasks WindowTasks::squares(const PoolGeometry& geometry, const TensorDesc& x) {
  // A task's maxima (values and positions, a quarter of its voxels or less) stay in L2.
  constexpr int64_t kTaskBytes = int64_t{2} << 20;
  constexpr int64_t kEdge = 8;
  WindowTasks tasks(geometry, x);
  const int64_t rows = std::max<int64_t>(kTaskBytes / tasks.row_bytes_, 1);
  const auto edge = std::min(kEdge, static_cast<int64_t>(std::sqrt(static_cast<double>(rows))));
  tasks.rows_d_ = std::min(edge, tasks.windows_.d);
  tasks.rows_h_ = std::min({kEdge, rows / tasks.rows_d_, tasks.windows_.h});
  return tasks;
}

int64_t WindowTasks::count() const {
  return checked_multiply(
      checked_multiply(n_, blocks_),
      checked_multiply(divide_up(windows_.d, rows_d_), divide_up(windows_.h, rows_h_)));
}

SlabTasks::Task WindowTasks::at(int64_t task) const {
  const int64_t bands_h = divide_up(windows_.h, rows_h_);
  const int64_t bands_d = divide_up(windows_.d, rows_d_);
  const int64_t h = task % bands_h * rows_h_;
  task /= bands_h;
  const int64_t d = task % bands_d * rows_d_;
  task /= bands_d;
  return {task / blocks_,
          task % blocks_,
          {{d, h, 0},
           {std::min(d + rows_d_, windows_.d), std::min(h + rows_h_, windows_.h), windows_.w}}};
}

}  // namespace wholemount
