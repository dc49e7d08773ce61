#include "wholemount/ops/conv/flat_values.h"

#include "wholemount/base/checked.h"
#include "wholemount/ops/conv/inner/rows.h"

namespace wholemount {

FlatValues::FlatValues(std::span<const TensorDesc> tensors)
    : blocks_(channel_blocks(tensors)),
      extent_(tensors.front().extent),
      samples_(tensors.front().n),
      voxels_(volume(extent_)) {
  for (const TensorDesc& desc : tensors) channels_ = checked_add(channels_, desc.c);
  (void)checked_multiply(checked_multiply(channels_, voxels_), samples_);
}

int64_t FlatValues::piece_begin(int64_t piece) const {
  return piece / static_cast<int64_t>(blocks_.size()) * count() + block_of(piece).channel * voxels_;
}

int64_t FlatValues::piece_floats(int64_t piece) const { return block_of(piece).lanes * voxels_; }

void FlatValues::write(int64_t piece, std::span<const InputView> inputs, Isa isa, float* out,
                       float* row) const {
  const ChannelBlock& block = block_of(piece);
  const int64_t n = piece / static_cast<int64_t>(blocks_.size());
  const InputView& input = inputs[static_cast<size_t>(block.tensor)];
  const BlockTransform transform = block_transform(input.transform, block);
  const auto copy = WM_PICK_ISA(isa, copy_row);
  RowCopy load{};
  load.source_step = block.plain ? 1 : 16;
  load.channel_pitch = input.view.block_pitch;
  load.bfloat16 = input.view.is_bfloat16();
  load.channels = block.lanes;
  load.plain = block.plain;
  load.pitch = 16;
  load.destination = row;
  load.count = extent_.w;
  load.transformed = transform.active;
  load.scale = transform.scale;
  load.shift = transform.shift;
  load.slope = transform.slope;
  for (int64_t d = 0; d < extent_.d; ++d) {
    for (int64_t h = 0; h < extent_.h; ++h) {
      load.source = input.view.address(n, block.plain ? 0 : block.block, d, h, 0);
      copy(load);
      for (int64_t lane = 0; lane < block.lanes; ++lane) {
        for (int64_t w = 0; w < extent_.w; ++w) out[lane * voxels_ + w] = row[w * 16 + lane];
      }
      out += extent_.w;
    }
  }
}

}  // namespace wholemount
