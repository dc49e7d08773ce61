#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/pool/average_pool_kernels.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// One task per sample and channel block.
template <class T>
class AveragePoolReference final : public Kernel {
 public:
  AveragePoolReference(const PoolSpec& spec, const PrepareContext& context, bool backward)
      : geometry_("average_pool", spec,
                  backward ? context.outputs[0].extent : context.inputs[0].extent),
        input_(context.inputs[0]),
        output_(context.outputs[0]),
        backward_(backward) {}
  [[nodiscard]] std::string name() const override {
    return backward_ ? "average_pool_backward_reference" : "average_pool_reference";
  }
  [[nodiscard]] int64_t flops() const override {
    return checked_multiply(2, std::max(input_.num_elements(), output_.num_elements()));
  }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(input_.bytes() + output_.bytes());
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override {
    return output_.n * output_.num_blocks();
  }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int, int64_t, int input) const override {
    return whole_box(input == 0 ? input_.extent : output_.extent);
  }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override {
    return whole_box(output_.extent);
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const SlabTasks::Task task{task_index / output_.num_blocks(), task_index % output_.num_blocks(),
                               whole_box(output_.extent)};
    backward_ ? run_backward(task, args) : run_forward(task, args);
  }

 private:
  [[nodiscard]] Box3 window(int64_t d, int64_t h, int64_t w) const {
    return geometry_.voxels_of({{d, h, w}, {d + 1, h + 1, w + 1}});
  }

  template <class Body>
  static void for_each_voxel(const Box3& box, Body body) {
    for (int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (int64_t h = box.begin.h; h < box.end.h; ++h) {
        for (int64_t w = box.begin.w; w < box.end.w; ++w) body(d, h, w);
      }
    }
  }

  void run_forward(const SlabTasks::Task& task, const KernelArgs& args) const {
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    const TensorView& y = args.outputs[0].view;
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t od, int64_t oh, int64_t ow) {
      const Box3 box = window(od, oh, ow);
      T sum{0};
      for_each_voxel(box, [&](int64_t d, int64_t h, int64_t w) { sum += x(task.n, c, d, h, w); });
      element<T>(y, task.n, c, od, oh, ow) = sum / static_cast<T>(volume(box.extent()));
    });
  }

  void run_backward(const SlabTasks::Task& task, const KernelArgs& args) const {
    const TensorView& grad_y = args.inputs[0].view;
    const TensorView& base = args.inputs[1].view;
    const TensorView& grad_x = args.outputs[0].view;
    for_each_slab_element<T>(task, grad_x, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      element<T>(grad_x, task.n, c, d, h, w) =
          base.desc.n == 0 ? T{0} : element<T>(base, task.n, c, d, h, w);
    });
    const ChannelRange channels = channels_of_block(output_, task.block);
    for (int64_t c = channels.first; c < channels.last; ++c) {
      for_each_voxel(whole_box(geometry_.output()), [&](int64_t od, int64_t oh, int64_t ow) {
        const Box3 box = window(od, oh, ow);
        const T part =
            element<T>(grad_y, task.n, c, od, oh, ow) / static_cast<T>(volume(box.extent()));
        for_each_voxel(box, [&](int64_t d, int64_t h, int64_t w) {
          element<T>(grad_x, task.n, c, d, h, w) += part;
        });
      });
    }
  }

  PoolGeometry geometry_;
  TensorDesc input_;
  TensorDesc output_;
  bool backward_;
};

std::shared_ptr<const Kernel> make(const PoolSpec& spec, const PrepareContext& context,
                                   bool backward) {
  if (context.inputs[0].dtype == DType::f64) {
    return std::make_shared<AveragePoolReference<double>>(spec, context, backward);
  }
  return std::make_shared<AveragePoolReference<float>>(spec, context, backward);
}

}  // namespace

std::shared_ptr<const Kernel> make_average_pool_reference(const PoolSpec& spec,
                                                          const PrepareContext& context) {
  return make(spec, context, false);
}

std::shared_ptr<const Kernel> make_average_pool_backward_reference(const PoolSpec& spec,
                                                                   const PrepareContext& context) {
  return make(spec, context, true);
}

}  // namespace wholemount
