#include "wholemount/ops/conv/channel_blocks.h"

namespace wholemount {

std::vector<ChannelBlock> channel_blocks(std::span<const TensorDesc> tensors) {
  std::vector<ChannelBlock> blocks;
  int64_t channel = 0;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const TensorDesc& desc = tensors[t];
    const bool plain = desc.layout == Layout::plain;
    const int64_t width = plain ? desc.c : 16;
    for (int64_t first = 0; desc.n > 0 && first < desc.c; first += width) {
      blocks.push_back({static_cast<int32_t>(t), first / width,
                        static_cast<int32_t>(std::min(width, desc.c - first)), channel + first,
                        plain});
    }
    channel += desc.c;
  }
  return blocks;
}

BlockTransform block_transform(const LoadTransformView& transform, const ChannelBlock& block) {
  const int64_t first = block.plain ? 0 : block.block * 16;
  const auto* scale = static_cast<const float*>(transform.scale);
  const auto* shift = static_cast<const float*>(transform.shift);
  return {!transform.identity(), scale == nullptr ? nullptr : scale + first,
          shift == nullptr ? nullptr : shift + first, transform.slope};
}

}  // namespace wholemount
