#pragma once

#include <string>
#include <utility>

#include "wholemount/graph/kernel.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

/// Base of kernels that compute each output voxel from the same voxel of their inputs, in one phase
/// without scratch: a task is a band of rows of one channel block of output 0.
class SlabKernel : public Kernel {
 public:
  SlabKernel(std::string name, const SlabTasks& tasks, int64_t flops, int64_t traffic_bytes)
      : name_(std::move(name)), tasks_(tasks), flops_(flops), traffic_bytes_(traffic_bytes) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_bytes_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return tasks_.at(task).box;
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.at(task).box;
  }
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    run_slab(tasks_.at(task), args);
  }

 protected:
  virtual void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const = 0;

 private:
  std::string name_;
  SlabTasks tasks_;
  int64_t flops_;
  int64_t traffic_bytes_;
};

/// The channels of block `block`: [first, last).
struct ChannelRange {
  int64_t first = 0;
  int64_t last = 0;
};
[[nodiscard]] inline ChannelRange channels_of_block(const TensorDesc& desc, int64_t block) {
  const int64_t width = desc.block_width();
  return {block * width, std::min(desc.c, (block + 1) * width)};
}

/// For reference kernels: calls body(c, d, h, w) for the voxels and channels of a task, and writes
/// the lanes beyond c of `output` as zero.
template <class T, class Body>
void for_each_slab_element(const SlabTasks::Task& task, const TensorView& output, Body body) {
  const int64_t width = output.desc.block_width();
  const ChannelRange channels = channels_of_block(output.desc, task.block);
  for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
    for (int64_t h = task.box.begin.h; h < task.box.end.h; ++h) {
      for (int64_t w = task.box.begin.w; w < task.box.end.w; ++w) {
        for (int64_t c = channels.first; c < channels.last; ++c) body(c, d, h, w);
        T* lanes = output.at<T>(task.n, task.block, d, h, w);
        for (int64_t lane = channels.last - channels.first; lane < width; ++lane)
          lanes[lane] = T{0};
      }
    }
  }
}

}  // namespace wholemount
