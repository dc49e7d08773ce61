#pragma once

#include <span>

#include "wholemount/base/cpu.h"
#include "wholemount/ops/elementwise/concat_rows.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

/// `count` channels of x from `channel` on.
struct ChannelRun {
  const InputView* x = nullptr;
  int64_t channel = 0;
  int64_t count = 0;
};

/// Copies channels between float32 tensors of the same n and extent but any layouts, reading
/// through LoadTransforms.
class ChannelCopy {
 public:
  explicit ChannelCopy(Isa isa)
      : block_row_(WM_PICK_ISA(isa, copy_block_row)),
        gather_row_(WM_PICK_ISA(isa, gather_lanes_row)),
        channel_row_(WM_PICK_ISA(isa, copy_channel_row)) {}

  /// Fills the task's channel block of y, in the task's box, with the runs behind each other (at
  /// most 16, together as many channels as the block has); lanes beyond become zero.
  void copy(std::span<const ChannelRun> runs, const TensorView& y,
            const SlabTasks::Task& task) const;

 private:
  void copy_plain(const ChannelRun& run, const TensorView& y, const SlabTasks::Task& task) const;
  void copy_whole_block(const ChannelRun& run, const TensorView& y,
                        const SlabTasks::Task& task) const;
  void gather(std::span<const ChannelRun> runs, const TensorView& y,
              const SlabTasks::Task& task) const;

  void (*block_row_)(const CopyBlockRow&);
  void (*gather_row_)(const GatherLanesRow&);
  void (*channel_row_)(const CopyChannelRow&);
};

}  // namespace wholemount
