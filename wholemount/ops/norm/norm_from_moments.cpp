#include <utility>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/norm/norm_differentiate.h"
#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/ops/norm/norm_statistics.h"

namespace wholemount {

namespace {

constexpr size_t kFirstMoments = 2;  // after gamma and beta
constexpr const char* kName = "norm_from_moments";

// A few numbers a channel, in double whatever the types: it is its own reference.
class FromMomentsKernel final : public SingleTaskKernel {
 public:
  FromMomentsKernel(const PrepareContext& context, std::vector<int64_t> num_values,
                    int64_t channels_per_mean, double epsilon)
      : SingleTaskKernel(context.inputs, context.outputs),
        is_reference_(wants_reference(context, context.inputs[0])),
        num_values_(std::move(num_values)),
        channels_per_mean_(channels_per_mean),
        epsilon_(epsilon) {}
  [[nodiscard]] std::string name() const override {
    return std::string(kName) + (is_reference_ ? "_reference" : "");
  }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return static_cast<size_t>(channels()) * sizeof(Moments);
  }

  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    auto* moments = reinterpret_cast<Moments*>(args.shared_scratch);
    for (int64_t channel = 0; channel < channels(); ++channel) {
      Moments all;
      for (size_t sample = 0; sample < num_values_.size(); ++sample) {
        const TensorView& view = args.inputs[kFirstMoments + sample].view;
        all.merge({static_cast<double>(num_values_[sample]),
                   view.at<double>(0, MomentsRow::mean)[channel],
                   view.at<double>(0, MomentsRow::m2)[channel]});
      }
      moments[channel] = all;
    }
    finish_statistics(args, {moments, static_cast<size_t>(channels())}, channels_per_mean_,
                      epsilon_);
  }

 private:
  [[nodiscard]] int64_t channels() const { return input_desc(0).extent.w; }

  bool is_reference_;
  std::vector<int64_t> num_values_;
  int64_t channels_per_mean_;
  double epsilon_;
};

class FromMomentsOp final : public Op {
 public:
  FromMomentsOp(const NormSpec& spec, std::vector<int64_t> num_values)
      : spec_(spec), num_values_(std::move(num_values)) {
    check_norm_spec(spec, kName);
    WM_CHECK(!num_values_.empty(), "a norm of no values");
  }
  [[nodiscard]] std::string name() const override { return kName; }
  [[nodiscard]] std::string attributes() const override { return norm_kind_text(spec_); }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    WM_CHECK(inputs.size() == kFirstMoments + num_values_.size(),
             "norm_from_moments takes weight, bias and the moments of each sample");
    const int64_t channels = inputs[0].extent.w;
    for (const TensorDesc& moments : inputs.subspan(kFirstMoments)) {
      if (moments != moments_desc(channels)) {
        throw ShapeError(std::string(kName) + ": moments are " + to_string(moments) + ", wanted " +
                         to_string(moments_desc(channels)));
      }
    }
    return infer_statistics(spec_, inputs, channels, inputs[0].dtype, kName);
  }

  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }

  void differentiate(const Node& node, Differentiation& scope) const override {
    const Graph& graph = scope.builder().graph();
    std::vector<ValueId> volumes;
    for (size_t i = kFirstMoments; i < node.inputs.size(); ++i) {
      const NodeId producer = graph.value(node.inputs[i]).producer;
      WM_CHECK(producer != kNone, "moments are an output of what computes the volume");
      volumes.push_back(graph.nodes[static_cast<size_t>(producer)].outputs.front());
    }
    const int64_t channels = graph.value(node.inputs[0]).desc.extent.w;
    differentiate_norm(node, volumes, channels_per_mean(spec_, channels), scope);
  }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const int64_t channels = context.inputs[0].extent.w;
    return std::make_shared<FromMomentsKernel>(context, num_values_,
                                               channels_per_mean(spec_, channels), spec_.epsilon);
  }

 private:
  NormSpec spec_;
  std::vector<int64_t> num_values_;
};

}  // namespace

std::shared_ptr<const Op> make_norm_from_moments_op(const NormSpec& spec,
                                                    std::vector<int64_t> num_values) {
  return std::make_shared<FromMomentsOp>(spec, std::move(num_values));
}

}  // namespace wholemount
