#include "wholemount/ops/elementwise/channel_copy.h"

#include "wholemount/tensor/load_transform.h"

namespace wholemount {

void ChannelCopy::copy(const InputView& x, int64_t x_channel, const TensorView& y,
                       int64_t y_channel, int64_t count, const SlabTasks::Task& task) const {
  const int64_t x_width = x.view.desc.block_width();
  const int64_t y_width = y.desc.block_width();
  const Box3& box = task.box;
  const bool fills_block = y_channel % 16 == 0 && (count == 16 || y_channel + count == y.desc.c);
  if (x_width == 16 && y_width == 16 && x_channel % 16 == 0 && fills_block &&
      (count == 16 || x_channel + count == x.view.desc.c)) {
    const LaneTransform lanes = lane_transform(x, x_channel / 16);
    for_each_run(box, {&x.view, &y}, [&](int64_t d, int64_t h, int64_t floats) {
      block_row_({x.view.at<float>(task.n, x_channel / 16, d, h),
                  y.at<float>(task.n, y_channel / 16, d, h), floats, lanes.scale, lanes.shift,
                  lanes.slope});
    });
    return;
  }
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      for (int64_t k = 0; k < count; ++k) {
        const int64_t channel = x_channel + k;
        const LaneTransform lanes = lane_transform(x, channel / x_width);
        const int64_t lane = channel % x_width;
        channel_row_(
            {x.view.at<float>(task.n, channel / x_width, d, h) + lane, x_width,
             y.at<float>(task.n, (y_channel + k) / y_width, d, h) + (y_channel + k) % y_width,
             y_width, y.desc.extent.w, lanes.scale[lane], lanes.shift[lane], lanes.slope});
      }
    }
  }
}

void ChannelCopy::zero_padding(const TensorView& y, const SlabTasks::Task& task) const {
  const int64_t width = y.desc.block_width();
  for (int64_t channel = y.desc.c; channel < (task.block + 1) * width; ++channel) {
    for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
      for (int64_t h = task.box.begin.h; h < task.box.end.h; ++h) {
        channel_row_({nullptr, 0, y.at<float>(task.n, task.block, d, h) + channel % width, width,
                      y.desc.extent.w, 1.0F, 0.0F, 1.0F});
      }
    }
  }
}

}  // namespace wholemount
