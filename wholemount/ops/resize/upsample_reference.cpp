#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/resize/upsample_axis.h"
#include "wholemount/ops/resize/upsample_kernels.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// Calls body(weight, d, h, w) for the up to eight inputs behind output (d, h, w).
template <class Body>
void for_each_tap(const UpsampleGeometry& geometry, int64_t od, int64_t oh, int64_t ow, Body body) {
  const UpsampleAxis::Taps d = geometry.d.taps(od);
  const UpsampleAxis::Taps h = geometry.h.taps(oh);
  const UpsampleAxis::Taps w = geometry.w.taps(ow);
  for (int corner = 0; corner < 8; ++corner) {
    const bool second_d = (corner & 4) != 0;
    const bool second_h = (corner & 2) != 0;
    const bool second_w = (corner & 1) != 0;
    const double weight = (second_d ? d.weight : 1.0 - d.weight) *
                          (second_h ? h.weight : 1.0 - h.weight) *
                          (second_w ? w.weight : 1.0 - w.weight);
    if (weight == 0.0) continue;
    body(weight, second_d ? d.second : d.first, second_h ? h.second : h.first,
         second_w ? w.second : w.first);
  }
}

/// One task per sample and channel block.
class UpsampleReferenceBase : public Kernel {
 public:
  UpsampleReferenceBase(std::string name, const UpsampleSpec& spec, const TensorDesc& x,
                        const TensorDesc& y, bool backward)
      : geometry_(spec, x.extent), x_(x), y_(y), backward_(backward), name_(std::move(name)) {}
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override {
    return checked_multiply(checked_multiply(y_.n, y_.c), checked_multiply(volume(y_.extent), 16));
  }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(x_.bytes() + y_.bytes());
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return x_.n * x_.num_blocks(); }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int, int64_t, int) const override {
    return whole_box(backward_ ? y_.extent : x_.extent);
  }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override {
    return whole_box(backward_ ? x_.extent : y_.extent);
  }

 protected:
  UpsampleGeometry geometry_;
  TensorDesc x_;
  TensorDesc y_;

 private:
  bool backward_;
  std::string name_;
};

template <class T>
class UpsampleReference final : public UpsampleReferenceBase {
 public:
  UpsampleReference(const UpsampleSpec& spec, const PrepareContext& context)
      : UpsampleReferenceBase("upsample_reference", spec, context.inputs[0], context.outputs[0],
                              false) {}
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const int64_t n = task / x_.num_blocks();
    const TransformedReader<T> x(args.inputs[0],
                                 args.decisions.empty() ? nullptr : &args.decisions[0]);
    const TensorView& y = args.outputs[0].view;
    for_each_slab_element<T>({n, task % x_.num_blocks(), whole_box(y_.extent)}, y,
                             [&](int64_t c, int64_t od, int64_t oh, int64_t ow) {
                               T sum{0};
                               for_each_tap(geometry_, od, oh, ow,
                                            [&](double weight, int64_t d, int64_t h, int64_t w) {
                                              sum += static_cast<T>(weight) * x(n, c, d, h, w);
                                            });
                               element<T>(y, n, c, od, oh, ow) = sum;
                             });
  }
};

template <class T>
class UpsampleBackwardReference final : public UpsampleReferenceBase {
 public:
  UpsampleBackwardReference(const UpsampleSpec& spec, const PrepareContext& context)
      : UpsampleReferenceBase("upsample_backward_reference", spec, context.outputs[0],
                              context.inputs[0], true) {}
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const int64_t n = task / x_.num_blocks();
    const int64_t block = task % x_.num_blocks();
    const TensorView& grad_y = args.inputs[0].view;
    const TensorView& grad_x = args.outputs[0].view;
    for_each_slab_element<T>({n, block, whole_box(x_.extent)}, grad_x,
                             [&](int64_t c, int64_t d, int64_t h, int64_t w) {
                               element<T>(grad_x, n, c, d, h, w) = T{0};
                             });
    const ChannelRange channels = channels_of_block(x_, block);
    for (int64_t c = channels.first; c < channels.last; ++c) {
      for (int64_t od = 0; od < y_.extent.d; ++od) {
        for (int64_t oh = 0; oh < y_.extent.h; ++oh) {
          for (int64_t ow = 0; ow < y_.extent.w; ++ow) {
            const T gradient = element<T>(grad_y, n, c, od, oh, ow);
            for_each_tap(geometry_, od, oh, ow,
                         [&](double weight, int64_t d, int64_t h, int64_t w) {
                           element<T>(grad_x, n, c, d, h, w) += static_cast<T>(weight) * gradient;
                         });
          }
        }
      }
    }
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_upsample_reference(const UpsampleSpec& spec,
                                                      const PrepareContext& context) {
  if (context.inputs[0].dtype == DType::f64) {
    return std::make_shared<UpsampleReference<double>>(spec, context);
  }
  return std::make_shared<UpsampleReference<float>>(spec, context);
}

std::shared_ptr<const Kernel> make_upsample_backward_reference(const UpsampleSpec& spec,
                                                               const PrepareContext& context) {
  if (context.inputs[0].dtype == DType::f64) {
    return std::make_shared<UpsampleBackwardReference<double>>(spec, context);
  }
  return std::make_shared<UpsampleBackwardReference<float>>(spec, context);
}

}  // namespace wholemount
