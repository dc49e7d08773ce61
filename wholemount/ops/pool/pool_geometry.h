#pragma once

#include <string>

#include "wholemount/ops/pool/pool_spec.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Half-open range on one axis.
struct AxisRange {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Where the windows of one axis lie: window o covers voxels [o * stride - padding, + kernel).
struct PoolAxis {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t input = 1;
  int64_t output = 1;

  /// The voxels of window `o` that lie in the input (at least one).
  [[nodiscard]] AxisRange voxels_of(int64_t o) const {
    const int64_t first = o * stride - padding;
    return {std::max<int64_t>(first, 0), std::min(first + kernel, input)};
  }
  /// The windows that touch any voxel of [begin, end); may be empty.
  [[nodiscard]] AxisRange windows_touching(int64_t begin, int64_t end) const {
    const int64_t from = begin + padding - kernel + 1;  // first o has o * stride >= from
    return {from <= 0 ? 0 : std::min(output, divide_up(from, stride)),
            std::min(output, (end - 1 + padding) / stride + 1)};
  }
};

/// A PoolSpec applied to an extent.
struct PoolGeometry {
  PoolAxis d;
  PoolAxis h;
  PoolAxis w;

  /// Throws ConfigError or ShapeError (see max_pool()); `op_name` leads the message.
  PoolGeometry(const std::string& op_name, const PoolSpec& spec, const Extent3& input);

  [[nodiscard]] Extent3 output() const { return {d.output, h.output, w.output}; }
  /// The voxels that the windows of a box cover.
  [[nodiscard]] Box3 voxels_of(const Box3& windows) const;
  /// The windows that touch a box of voxels.
  [[nodiscard]] Box3 windows_touching(const Box3& voxels) const;
  /// Bytes of outputs that come from about SlabTasks::kTaskBytes of inputs: what a task makes.
  [[nodiscard]] int64_t task_bytes() const;
  /// Voxels in one window.
  [[nodiscard]] int64_t window_size() const { return d.kernel * h.kernel * w.kernel; }
};

}  // namespace wholemount
