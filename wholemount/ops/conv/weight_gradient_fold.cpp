#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

void WeightGradientKernel::fold_weights(size_t coarse, size_t fine, int64_t first_tap,
                                        int64_t last_tap, const KernelArgs& args) const {
  const ChannelBlock& a = coarse_blocks_[coarse];
  const ChannelBlock& b = fine_blocks_[fine];
  const int64_t num_parts = parts_d_ * parts_h_;
  const int64_t pitch = b.scratch_pitch();
  const OutputView& output = args.outputs[0];
  auto* weights = output.view.at<float>(0, 0);
  const auto add = WM_PICK_ISA(isa_, add_to_sums);
  // The taps of a partial result lie one behind another: so each is read in long stretches.
  const int64_t taps_at_once = fold_taps(pitch);
  alignas(64) double sums[kFoldSums];
  for (int64_t first = first_tap; first < last_tap; first += taps_at_once) {
    const int64_t last = std::min(first + taps_at_once, last_tap);
    const int64_t count = (last - first) * pitch * 16;
    std::fill_n(sums, count, 0.0);
    for (int64_t part = 0; part < num_parts; ++part) {
      add(partial(args, part, coarse, fine) + first * pitch * 16, sums, count);
    }
    for (int64_t c = 0; c < a.lanes; ++c) {
      for (int64_t lane = 0; lane < b.lanes; ++lane) {
        float* out =
            weights + ((a.channel + c) * problem_.weights.c + b.channel + lane) * num_taps_;
        for (int64_t tap = first; tap < last; ++tap) {
          const auto value = static_cast<float>(sums[((tap - first) * pitch + lane) * 16 + c]);
          out[tap] = output.accumulate ? out[tap] + value : value;
        }
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
