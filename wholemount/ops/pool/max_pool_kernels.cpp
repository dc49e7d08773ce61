#include "wholemount/ops/pool/max_pool_kernels.h"

#include "wholemount/base/cpu.h"
#include "wholemount/ops/pool/max_pool_rows.h"
#include "wholemount/ops/pool/max_pool_windows.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

class MaxPoolKernel final : public Kernel {
 public:
  MaxPoolKernel(const PoolSpec& spec, const PrepareContext& context)
      : geometry_("max_pool", spec, context.inputs[0].extent),
        tasks_(context.outputs[0], geometry_.task_bytes()),
        isa_(context.target.isa),
        blocked_(context.inputs[0].block_width() == 16),
        row_(WM_PICK_ISA(context.target.isa, max_pool_row)),
        flops_(checked_multiply(context.outputs[0].num_elements(), geometry_.window_size())),
        traffic_(static_cast<int64_t>(context.inputs[0].bytes() + context.outputs[0].bytes())) {}

  [[nodiscard]] std::string name() const override {
    return "max_pool_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] bool reads_bfloat16(int /*input*/) const override { return blocked_; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.count(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    return geometry_.voxels_of(tasks_.at(task).box);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.at(task).box;
  }

  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task = tasks_.at(task_index);
    const TensorView& x = args.inputs[0].view;
    const LaneTransform lanes = lane_transform(args.inputs[0], task.block);
    MaxPoolRow row = max_pool_row_of(geometry_, x, lanes);
    for (int64_t od = task.box.begin.d; od < task.box.end.d; ++od) {
      for (int64_t oh = task.box.begin.h; oh < task.box.end.h; ++oh) {
        aim(row, geometry_, x, task, od, oh);
        row.y = args.outputs[0].view.at<float>(task.n, task.block, od, oh);
        row_(row);
      }
    }
  }

 private:
  PoolGeometry geometry_;
  SlabTasks tasks_;
  Isa isa_;
  bool blocked_;
  void (*row_)(const MaxPoolRow&);
  int64_t flops_;
  int64_t traffic_;
};

}  // namespace

std::shared_ptr<const Kernel> make_max_pool_kernel(const PoolSpec& spec,
                                                   const PrepareContext& context) {
  return std::make_shared<MaxPoolKernel>(spec, context);
}

}  // namespace wholemount
