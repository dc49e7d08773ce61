#include <algorithm>

#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

void WeightGradientKernel::fold_weights(size_t coarse, size_t fine, const KernelArgs& args) const {
  const ChannelBlock& a = coarse_blocks_[coarse];
  const ChannelBlock& b = fine_blocks_[fine];
  const int64_t num_parts = parts_d_ * parts_h_;
  const OutputView& output = args.outputs[0];
  auto* weights = output.view.at<float>(0, 0);
  double sums[16];
  for (int64_t lane = 0; lane < b.lanes; ++lane) {
    for (int64_t tap = 0; tap < num_taps_; ++tap) {
      std::fill_n(sums, 16, 0.0);
      for (int64_t part = 0; part < num_parts; ++part) {
        const float* in = partial(args, part, coarse, fine) + (tap * b.scratch_pitch() + lane) * 16;
        for (int64_t c = 0; c < 16; ++c) sums[c] += static_cast<double>(in[c]);
      }
      for (int64_t c = 0; c < a.lanes; ++c) {
        float& out =
            weights[((a.channel + c) * problem_.weights.c + b.channel + lane) * num_taps_ + tap];
        const auto value = static_cast<float>(sums[c]);
        out = output.accumulate ? out + value : value;
      }
    }
  }
}

void WeightGradientKernel::fold_bias(size_t index, const KernelArgs& args) const {
  const ChannelBlock& block = problem_.bias_of_fine ? fine_blocks_[index] : coarse_blocks_[index];
  const OutputView& output = args.outputs[1];
  auto* bias = output.view.at<float>(0, 0) + block.channel;
  for (int64_t c = 0; c < block.lanes; ++c) {
    double sum = 0.0;
    for (int64_t part = 0; part < parts_d_ * parts_h_; ++part) {
      sum += bias_partial(args, part, index)[c];
    }
    const auto value = static_cast<float>(sum);
    bias[c] = output.accumulate ? bias[c] + value : value;
  }
}

}  // namespace wholemount
