#include "testing/test_ops.h"

#include <functional>

#include "wholemount/graph/graph.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// One task that sees whole tensors.
class WholeKernel final : public Kernel {
 public:
  using Body = std::function<void(const KernelArgs&)>;
  WholeKernel(const PrepareContext& context, Body body)
      : input_(context.inputs[0].extent),
        output_(context.outputs[0].extent),
        body_(std::move(body)) {}
  [[nodiscard]] std::string name() const override { return "test_reference"; }
  [[nodiscard]] int64_t flops() const override { return 0; }
  [[nodiscard]] int64_t traffic_bytes() const override { return 1; }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return 1; }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int, int64_t, int) const override { return whole_box(input_); }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override { return whole_box(output_); }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override { body_(args); }

 private:
  Extent3 input_;
  Extent3 output_;
  Body body_;
};

template <class Body>
void for_each_voxel(const TensorDesc& desc, Body body) {
  for (int64_t n = 0; n < desc.n; ++n) {
    for (int64_t c = 0; c < desc.c; ++c) {
      for (int64_t d = 0; d < desc.extent.d; ++d) {
        for (int64_t h = 0; h < desc.extent.h; ++h) {
          for (int64_t w = 0; w < desc.extent.w; ++w) body(n, c, d, h, w);
        }
      }
    }
  }
}

/// Uniform in [-1, 1), a function of (seed, index) (the finaliser of SplitMix64).
double projection_weight(uint64_t seed, uint64_t index) {
  uint64_t z = (seed * 0x9E3779B97F4A7C15ULL) ^ (index + 0x632BE59BD9B4E019ULL);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  z ^= z >> 31U;
  return static_cast<double>(z >> 11U) * 0x1.0p-52 - 1.0;
}

template <class T>
void zero_lanes(const TensorView& view) {
  const TensorDesc& desc = view.desc;
  for (int64_t n = 0; n < desc.n; ++n) {
    for (int64_t b = 0; b < desc.num_blocks(); ++b) {
      for (int64_t d = 0; d < desc.extent.d; ++d) {
        for (int64_t h = 0; h < desc.extent.h; ++h) {
          T* row = view.at<T>(n, b, d, h);
          for (int64_t i = 0; i < desc.extent.w * desc.block_width(); ++i) row[i] = T{0};
        }
      }
    }
  }
}

template <class T>
void copy_elements(const KernelArgs& args) {
  const TensorView& x = args.inputs[0].view;
  const TensorView& y = args.outputs[0].view;
  if (!args.outputs[0].accumulate) zero_lanes<T>(y);
  for_each_voxel(y.desc, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    element<T>(y, n, c, d, h, w) += element<T>(x, n, c, d, h, w);
  });
}

template <class T>
void project(const KernelArgs& args, uint64_t seed) {
  const TensorView& y = args.inputs[0].view;
  double sum = 0.0;
  uint64_t index = 0;
  for_each_voxel(y.desc, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    sum += projection_weight(seed, index++) * static_cast<double>(element<T>(y, n, c, d, h, w));
  });
  *args.outputs[0].view.at<T>(0, 0) = static_cast<T>(sum);
}

template <class T>
void project_backward(const KernelArgs& args, uint64_t seed) {
  const TensorView& grad_y = args.outputs[0].view;
  zero_lanes<T>(grad_y);
  uint64_t index = 0;
  for_each_voxel(grad_y.desc, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    element<T>(grad_y, n, c, d, h, w) = static_cast<T>(projection_weight(seed, index++));
  });
}

class TestOp : public Op {
 public:
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[0].extent);
  }
};

class CopyOp : public TestOp {
 public:
  [[nodiscard]] std::string name() const override { return "test_copy"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs[0]};
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<WholeKernel>(context, context.inputs[0].dtype == DType::f64
                                                      ? copy_elements<double>
                                                      : copy_elements<float>);
  }
};

class LeafOp final : public CopyOp {
 public:
  [[nodiscard]] std::string name() const override { return "test_leaf"; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId gradient = scope.gradient(node.outputs[0]);
    if (gradient == kNone) return;
    const ValueId bound =
        scope.builder().add(std::make_shared<CopyOp>(), {gradient}, node.name + ".grad").front();
    scope.builder().bind_parameter_gradient(bound, node.inputs[0]);
  }
};

class ProjectionBackwardOp final : public TestOp {
 public:
  explicit ProjectionBackwardOp(uint64_t seed) : seed_(seed) {}
  [[nodiscard]] std::string name() const override { return "test_projection_backward"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs[0]};
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const bool is_double = context.inputs[0].dtype == DType::f64;
    return std::make_shared<WholeKernel>(
        context, [is_double, seed = seed_](const KernelArgs& args) {
          is_double ? project_backward<double>(args, seed) : project_backward<float>(args, seed);
        });
  }

 private:
  uint64_t seed_;
};

class ProjectionOp final : public TestOp {
 public:
  explicit ProjectionOp(uint64_t seed) : seed_(seed) {}
  [[nodiscard]] std::string name() const override { return "test_projection"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {TensorDesc::plain(1, 1, {1, 1, 1}, inputs[0].dtype)};
  }
  void differentiate(const Node& node, Differentiation& scope) const override {
    if (!scope.wanted(node.inputs[0])) return;
    scope.contribute(node.inputs[0], scope.builder()
                                         .add(std::make_shared<ProjectionBackwardOp>(seed_),
                                              {node.inputs[0]}, node.name + ".backward")
                                         .front());
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const bool is_double = context.inputs[0].dtype == DType::f64;
    return std::make_shared<WholeKernel>(
        context, [is_double, seed = seed_](const KernelArgs& args) {
          is_double ? project<double>(args, seed) : project<float>(args, seed);
        });
  }

 private:
  uint64_t seed_;
};

}  // namespace

std::shared_ptr<const Op> make_leaf() { return std::make_shared<LeafOp>(); }

std::shared_ptr<const Op> make_projection(uint64_t seed) {
  return std::make_shared<ProjectionOp>(seed);
}

}  // namespace wholemount
