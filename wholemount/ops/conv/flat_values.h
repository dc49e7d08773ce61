#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"

namespace wholemount {

/// Activations written out in the order of the columns of a weight matrix, [channel][d][h][w], with
/// their LoadTransforms applied; channels are counted over the whole list of tensors.
class FlatValues {
 public:
  explicit FlatValues(std::span<const TensorDesc> tensors);

  /// Floats of one sample: channels times voxels.
  [[nodiscard]] int64_t count() const { return channels_ * voxels_; }
  [[nodiscard]] int64_t samples() const { return samples_; }
  [[nodiscard]] const std::vector<ChannelBlock>& blocks() const { return blocks_; }
  [[nodiscard]] int64_t voxels() const { return voxels_; }

  /// Pieces that can be written independently: one per sample and block.
  [[nodiscard]] int64_t num_pieces() const {
    return samples_ * static_cast<int64_t>(blocks_.size());
  }
  /// Where piece `piece` lies in [sample][count()] floats, and how many it has.
  [[nodiscard]] int64_t piece_begin(int64_t piece) const;
  [[nodiscard]] int64_t piece_floats(int64_t piece) const;
  /// Writes piece `piece` to `out`. `inputs` are the views of the tensors, `row` is scratch of
  /// row_floats().
  void write(int64_t piece, std::span<const InputView> inputs, Isa isa, float* out,
             float* row) const;
  [[nodiscard]] int64_t row_floats() const { return extent_.w * 16; }

 private:
  [[nodiscard]] const ChannelBlock& block_of(int64_t piece) const {
    return blocks_[static_cast<size_t>(piece) % blocks_.size()];
  }

  std::vector<ChannelBlock> blocks_;
  Extent3 extent_;
  int64_t samples_ = 0;
  int64_t channels_ = 0;
  int64_t voxels_ = 0;
};

}  // namespace wholemount
