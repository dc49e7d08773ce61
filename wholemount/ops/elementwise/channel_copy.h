#pragma once

#include "wholemount/base/cpu.h"
#include "wholemount/ops/elementwise/concat_rows.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

/// Copies runs of channels between float32 tensors of the same n and extent but any layouts,
/// reading through a LoadTransform.
class ChannelCopy {
 public:
  explicit ChannelCopy(Isa isa)
      : block_row_(WM_PICK_ISA(isa, copy_block_row)),
        channel_row_(WM_PICK_ISA(isa, copy_channel_row)) {}

  /// y[y_channel + k] = transform(x[x_channel + k]) for k < count, in the box of the task. The y
  /// channels lie in one channel block.
  void copy(const InputView& x, int64_t x_channel, const TensorView& y, int64_t y_channel,
            int64_t count, const SlabTasks::Task& task) const;

  /// Writes the lanes beyond c of the task's block of y as zero.
  void zero_padding(const TensorView& y, const SlabTasks::Task& task) const;

 private:
  void (*block_row_)(const CopyBlockRow&);
  void (*channel_row_)(const CopyChannelRow&);
};

}  // namespace wholemount
