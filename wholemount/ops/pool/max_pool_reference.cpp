#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/pool/max_pool_kernels.h"
#include "wholemount/ops/pool/pool_geometry.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// The voxel of the first maximum of a window, by read(d, h, w).
template <class Read>
Extent3 first_maximum(const PoolGeometry& geometry, const Extent3& window, Read read) {
  const AxisRange d = geometry.d.voxels_of(window.d);
  const AxisRange h = geometry.h.voxels_of(window.h);
  const AxisRange w = geometry.w.voxels_of(window.w);
  Extent3 best{d.begin, h.begin, w.begin};
  for (int64_t id = d.begin; id < d.end; ++id) {
    for (int64_t ih = h.begin; ih < h.end; ++ih) {
      for (int64_t iw = w.begin; iw < w.end; ++iw) {
        if (read(id, ih, iw) > read(best.d, best.h, best.w)) best = {id, ih, iw};
      }
    }
  }
  return best;
}

/// One task per sample and channel block.
class PoolReference : public Kernel {
 public:
  PoolReference(std::string name, const PoolSpec& spec, const PrepareContext& context)
      : geometry_("max_pool", spec, context.inputs[0].extent),
        x_(context.inputs[0]),
        name_(std::move(name)) {
    for (const TensorDesc& desc : context.inputs) traffic_ += static_cast<int64_t>(desc.bytes());
    traffic_ += static_cast<int64_t>(context.outputs[0].bytes());
    output_ = context.outputs[0].extent;
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override {
    return x_.n * x_.c * volume(geometry_.output()) * geometry_.window_size();
  }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return x_.n * x_.num_blocks(); }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int, int64_t, int) const override { return whole_box(x_.extent); }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override { return whole_box(output_); }

 protected:
  /// Where the maximum of the window of channel c is, decided on the float32 twin if there is one.
  template <class T>
  [[nodiscard]] Extent3 find(const KernelArgs& args, int64_t n, int64_t c,
                             const Extent3& window) const {
    if (!args.decisions.empty()) {
      const TransformedReader<float> twin(args.decisions[0]);
      return first_maximum(geometry_, window,
                           [&](int64_t d, int64_t h, int64_t w) { return twin(n, c, d, h, w); });
    }
    const TransformedReader<T> x(args.inputs[0]);
    return first_maximum(geometry_, window,
                         [&](int64_t d, int64_t h, int64_t w) { return x(n, c, d, h, w); });
  }

  PoolGeometry geometry_;
  TensorDesc x_;

 private:
  Extent3 output_;
  std::string name_;
  int64_t traffic_ = 0;
};

template <class T>
class MaxPoolReference final : public PoolReference {
 public:
  MaxPoolReference(const PoolSpec& spec, const PrepareContext& context)
      : PoolReference("max_pool_reference", spec, context) {}
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const int64_t n = task / x_.num_blocks();
    const TensorView& y = args.outputs[0].view;
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    for_each_slab_element<T>({n, task % x_.num_blocks(), whole_box(y.desc.extent)}, y,
                             [&](int64_t c, int64_t d, int64_t h, int64_t w) {
                               const Extent3 best = find<T>(args, n, c, {d, h, w});
                               element<T>(y, n, c, d, h, w) = x(n, c, best.d, best.h, best.w);
                             });
  }
};

template <class T>
class MaxPoolBackwardReference final : public PoolReference {
 public:
  MaxPoolBackwardReference(const PoolSpec& spec, bool rectified, const PrepareContext& context)
      : PoolReference("max_pool_backward_reference", spec, context), rectified_(rectified) {}
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const int64_t n = task / x_.num_blocks();
    const int64_t block = task % x_.num_blocks();
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    const TensorView& grad_y = args.inputs[1].view;
    const TensorView& base = args.inputs[2].view;
    const TensorView& grad_x = args.outputs[0].view;
    for_each_slab_element<T>({n, block, whole_box(x_.extent)}, grad_x,
                             [&](int64_t c, int64_t d, int64_t h, int64_t w) {
                               element<T>(grad_x, n, c, d, h, w) =
                                   base.desc.n == 0 ? T{0} : element<T>(base, n, c, d, h, w);
                             });
    const ChannelRange channels = channels_of_block(x_, block);
    const Extent3 windows = geometry_.output();
    for (int64_t c = channels.first; c < channels.last; ++c) {
      for (int64_t d = 0; d < windows.d; ++d) {
        for (int64_t h = 0; h < windows.h; ++h) {
          for (int64_t w = 0; w < windows.w; ++w) {
            const Extent3 best = find<T>(args, n, c, {d, h, w});
            if (rectified_ && !x.positive(n, c, best.d, best.h, best.w)) continue;
            element<T>(grad_x, n, c, best.d, best.h, best.w) += element<T>(grad_y, n, c, d, h, w);
          }
        }
      }
    }
  }

 private:
  bool rectified_;
};

}  // namespace

std::shared_ptr<const Kernel> make_max_pool_reference(const PoolSpec& spec,
                                                      const PrepareContext& context) {
  if (context.inputs[0].dtype == DType::f64) {
    return std::make_shared<MaxPoolReference<double>>(spec, context);
  }
  return std::make_shared<MaxPoolReference<float>>(spec, context);
}

std::shared_ptr<const Kernel> make_max_pool_backward_reference(const PoolSpec& spec, bool rectified,
                                                               const PrepareContext& context) {
  if (context.inputs[0].dtype == DType::f64) {
    return std::make_shared<MaxPoolBackwardReference<double>>(spec, rectified, context);
  }
  return std::make_shared<MaxPoolBackwardReference<float>>(spec, rectified, context);
}

}  // namespace wholemount
