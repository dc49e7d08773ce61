#pragma once

#include "wholemount/ops/pool/max_pool_rows.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

/// What is the same for all rows of windows of a task. `lanes` must live as long as the result.
[[nodiscard]] MaxPoolRow max_pool_row_of(const PoolGeometry& geometry, const TensorView& x,
                                         const LaneTransform& lanes);

/// Points the row at the input rows of windows (od, oh) of the task's sample and block.
void aim(MaxPoolRow& row, const PoolGeometry& geometry, const TensorView& x,
         const SlabTasks::Task& task, int64_t od, int64_t oh);

/// Rows of windows cut into tasks, by shape alone: a task is a sample, a channel block and a box of
/// window rows.
class WindowTasks {
 public:
  /// Bands of whole planes of windows, or of rows of one plane, for windows that share no voxels.
  static WindowTasks bands(const PoolGeometry& geometry, const TensorDesc& x);
  /// Squares of rows, for windows that share voxels: those at the rim are looked at by each task
  /// they touch, so that a square saves work.
  static WindowTasks squares(const PoolGeometry& geometry, const TensorDesc& x);

  [[nodiscard]] int64_t count() const;
  [[nodiscard]] SlabTasks::Task at(int64_t task) const;

 private:
  WindowTasks(const PoolGeometry& geometry, const TensorDesc& x);

  int64_t n_;
  int64_t blocks_;
  Extent3 windows_;
  int64_t row_bytes_;  ///< of the voxels from a row of windows up to the next
  int64_t rows_d_ = 1;
  int64_t rows_h_ = 1;
};

}  // namespace wholemount
