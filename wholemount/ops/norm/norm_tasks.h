#pragma once

#include <cstdint>
#include <vector>

#include "wholemount/graph/op.h"
#include "wholemount/tensor/slabs.h"

namespace wholemount {

/// Cuts a volume [1, C, d, h, w] into tasks of one channel block of one slab, about 1 MiB of f32
/// each; slab-major, so that a stream of slabs meets the tasks in order.
class BlockSlabTasks {
 public:
  explicit BlockSlabTasks(const TensorDesc& desc)
      : num_blocks_(desc.num_blocks()),
        width_(desc.block_width()),
        slabs_(desc.extent, kTaskElements / desc.block_width()) {}

  [[nodiscard]] int64_t num_tasks() const { return num_blocks_ * slabs_.num_slabs(); }
  [[nodiscard]] int64_t num_blocks() const { return num_blocks_; }
  [[nodiscard]] int64_t num_slabs() const { return slabs_.num_slabs(); }
  [[nodiscard]] int64_t block(int64_t task) const { return task % num_blocks_; }
  [[nodiscard]] Box3 box(int64_t task) const { return slabs_.box(task / num_blocks_); }
  [[nodiscard]] int64_t task(int64_t block, int64_t slab) const {
    return slab * num_blocks_ + block;
  }
  /// Elements of one task's run, which is contiguous from pointer() on.
  [[nodiscard]] int64_t num_elements(int64_t task) const {
    return volume(box(task).extent()) * width_;
  }
  [[nodiscard]] float* pointer(const TensorView& view, int64_t task) const {
    const Box3 slab = box(task);
    return view.at<float>(0, block(task), slab.begin.d, slab.begin.h, 0);
  }
  /// The same of float32 or bfloat16.
  [[nodiscard]] const void* address(const TensorView& view, int64_t task) const {
    const Box3 slab = box(task);
    return view.address(0, block(task), slab.begin.d, slab.begin.h, 0);
  }

 private:
  static constexpr int64_t kTaskElements = 256 * 1024;
  int64_t num_blocks_;
  int64_t width_;
  SlabCut slabs_;
};

/// Sixteen lanes of one parameter row: the channels of a block, or one channel repeated.
struct LaneValues {
  alignas(64) float lane[16];
  LaneValues(const float* row, int64_t block, int64_t width) {
    for (int64_t i = 0; i < 16; ++i) {
      lane[i] = width == 16 ? row[16 * block + i] : row[block];
    }
  }
};

/// A kernel of one task on small plain tensors.
class SingleTaskKernel : public Kernel {
 public:
  SingleTaskKernel(std::span<const TensorDesc> inputs, std::span<const TensorDesc> outputs)
      : inputs_(inputs.begin(), inputs.end()), outputs_(outputs.begin(), outputs.end()) {}
  [[nodiscard]] int64_t flops() const override { return 0; }
  [[nodiscard]] int64_t traffic_bytes() const override {
    size_t bytes = 0;
    for (const TensorDesc& desc : inputs_) {
      bytes += desc.bytes();
    }
    for (const TensorDesc& desc : outputs_) {
      bytes += desc.bytes();
    }
    return static_cast<int64_t>(bytes);
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return 1; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t /*task*/, int input) const override {
    return whole_box(inputs_[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t /*task*/, int output) const override {
    return whole_box(outputs_[static_cast<size_t>(output)].extent);
  }

 protected:
  [[nodiscard]] const TensorDesc& input_desc(size_t index) const { return inputs_[index]; }
  [[nodiscard]] const TensorDesc& output_desc(size_t index) const { return outputs_[index]; }
  [[nodiscard]] size_t num_inputs() const { return inputs_.size(); }

 private:
  std::vector<TensorDesc> inputs_;
  std::vector<TensorDesc> outputs_;
};

/// The reference kernels are used for f64 and when the target asks for them.
inline bool wants_reference(const PrepareContext& context, const TensorDesc& desc) {
  return context.target.reference || desc.dtype == DType::f64;
}

}  // namespace wholemount
