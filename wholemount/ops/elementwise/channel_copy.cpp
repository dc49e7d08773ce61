#include "wholemount/ops/elementwise/channel_copy.h"

#include <algorithm>

#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// The part of a run that lies in one channel block of its tensor.
struct Piece {
  const TensorView* x;
  int64_t block;
  int32_t lane;   ///< first lane of the destination
  int32_t count;  ///< lanes
  int32_t from;   ///< lane within the source's block; 0 for plain tensors
};

}  // namespace

void ChannelCopy::copy(std::span<const ChannelRun> runs, const TensorView& y,
                       const SlabTasks::Task& task) const {
  if (y.desc.block_width() == 1) {
    copy_plain(runs.front(), y, task);
    return;
  }
  const ChannelRun& run = runs.front();
  const TensorDesc& x = run.x->view.desc;
  const bool whole = run.count == 16 || run.channel + run.count == x.c;
  if (runs.size() == 1 && x.block_width() == 16 && run.channel % 16 == 0 && whole) {
    copy_whole_block(run, y, task);
  } else {
    gather(runs, y, task);
  }
}

void ChannelCopy::copy_plain(const ChannelRun& run, const TensorView& y,
                             const SlabTasks::Task& task) const {
  const int64_t width = run.x->view.desc.block_width();
  const int64_t block = run.channel / width;
  const int64_t lane = run.channel % width;
  const LaneTransform lanes = lane_transform(*run.x, block);
  for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
    for (int64_t h = task.box.begin.h; h < task.box.end.h; ++h) {
      channel_row_({run.x->view.at<float>(task.n, block, d, h) + lane, width,
                    y.at<float>(task.n, task.block, d, h), y.desc.extent.w, lanes.scale[lane],
                    lanes.shift[lane], lanes.slope});
    }
  }
}

void ChannelCopy::copy_whole_block(const ChannelRun& run, const TensorView& y,
                                   const SlabTasks::Task& task) const {
  const TensorView& x = run.x->view;
  const int64_t block = run.channel / 16;
  const LaneTransform lanes = lane_transform(*run.x, block);
  for_each_run(task.box, {&x, &y}, [&](int64_t d, int64_t h, int64_t floats) {
    block_row_({x.at<float>(task.n, block, d, h), y.at<float>(task.n, task.block, d, h), floats,
                lanes.scale, lanes.shift, lanes.slope});
  });
}

void ChannelCopy::gather(std::span<const ChannelRun> runs, const TensorView& y,
                         const SlabTasks::Task& task) const {
  Piece blocked[16];
  Piece plain[16];
  int32_t num_blocked = 0;
  int32_t num_plain = 0;
  alignas(64) float scale[16] = {};
  alignas(64) float shift[16] = {};
  alignas(64) float slope[16] = {};
  int32_t lane = 0;
  for (const ChannelRun& run : runs) {
    const TensorView& x = run.x->view;
    const int64_t width = x.desc.block_width();
    for (int64_t channel = run.channel; channel < run.channel + run.count;) {
      const int64_t block = channel / width;
      const auto from = static_cast<int32_t>(channel % width);
      const auto count =
          static_cast<int32_t>(std::min(run.channel + run.count, (block + 1) * width) - channel);
      const LaneTransform lanes = lane_transform(*run.x, block);
      for (int32_t k = 0; k < count; ++k) {
        scale[lane + k] = lanes.scale[from + k];
        shift[lane + k] = lanes.shift[from + k];
        slope[lane + k] = lanes.slope;
      }
      (width == 16 ? blocked[num_blocked++] : plain[num_plain++]) = {&x, block, lane, count, from};
      lane += count;
      channel += count;
    }
  }
  LaneSource from_blocked[16];
  LaneSource from_plain[16];
  GatherLanesRow row{from_blocked,    num_blocked, from_plain, num_plain, nullptr,
                     y.desc.extent.w, scale,       shift,      slope};
  for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
    for (int64_t h = task.box.begin.h; h < task.box.end.h; ++h) {
      for (int32_t s = 0; s < num_blocked; ++s) {
        const Piece& piece = blocked[s];
        from_blocked[s] = {piece.x->at<float>(task.n, piece.block, d, h) + piece.from - piece.lane,
                           piece.lane, piece.lane + piece.count};
      }
      for (int32_t s = 0; s < num_plain; ++s) {
        const Piece& piece = plain[s];
        from_plain[s] = {piece.x->at<float>(task.n, piece.block, d, h), piece.lane, piece.lane + 1};
      }
      row.y = y.at<float>(task.n, task.block, d, h);
      gather_row_(row);
    }
  }
}

}  // namespace wholemount
