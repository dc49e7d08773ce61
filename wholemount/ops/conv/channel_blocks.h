#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/graph/kernel.h"
#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

/// One stored channel block of a list of tensors read as their concatenation by channels. Blocks
/// may be partly filled (a tensor whose channels are no multiple of 16); a plain tensor of 1 to 4
/// channels counts as one block.
struct ChannelBlock {
  int32_t tensor = 0;   ///< index in the list
  int64_t block = 0;    ///< block within the tensor
  int32_t lanes = 0;    ///< channels in use
  int64_t channel = 0;  ///< first channel, counted over the whole list
  bool plain = false;

  /// Floats a voxel of this block takes in a kernel's scratch.
  [[nodiscard]] int64_t scratch_pitch() const { return plain ? 4 : 16; }
};

/// The blocks of `tensors` in channel order. Tensors with n = 0 (absent) still count channels `c`
/// but yield no blocks.
[[nodiscard]] std::vector<ChannelBlock> channel_blocks(std::span<const TensorDesc> tensors);

/// A slice of a LoadTransform for one block.
struct BlockTransform {
  bool active = false;
  const float* scale = nullptr;
  const float* shift = nullptr;
  float slope = 1.0F;
};
[[nodiscard]] BlockTransform block_transform(const LoadTransformView& transform,
                                             const ChannelBlock& block);

}  // namespace wholemount
