#include "bench/kernels/ours.h"

#include "wholemount/base/memory.h"
#include "wholemount/base/rng.h"

namespace wholemount::bench {

namespace {

/// A tensor with memory and small random values.
class Tensor {
 public:
  explicit Tensor(const TensorDesc& desc) : desc_(desc), memory_(desc.bytes()) {
    CounterRng rng(1, 0, 0, "bench");
    auto* values = reinterpret_cast<float*>(memory_.data());
    for (int64_t i = 0; i < desc.storage_elements(); ++i) {
      values[i] = i < 4096 ? rng.next_float() - 0.5F : values[i - 4096];
    }
  }
  [[nodiscard]] TensorView view() const { return whole_view(desc_, memory_.data()); }

 private:
  TensorDesc desc_;
  PageBuffer memory_;
};

class Ours final : public Contestant {
 public:
  Ours(std::shared_ptr<const Kernel> kernel, const std::vector<TensorDesc>& inputs,
       const std::vector<TensorDesc>& outputs, ThreadPool& pool)
      : kernel_(std::move(kernel)), pool_(pool), shared_(kernel_->shared_scratch_bytes() + 64) {
    for (const TensorDesc& desc : inputs) {
      tensors_.emplace_back(desc);
      inputs_.push_back({tensors_.back().view(), {}});
    }
    for (const TensorDesc& desc : outputs) {
      tensors_.emplace_back(desc);
      outputs_.push_back({tensors_.back().view(), false});
    }
    for (int t = 0; t < pool.num_threads(); ++t) {
      scratch_.emplace_back(kernel_->thread_scratch_bytes() + 64);
    }
  }
  [[nodiscard]] std::string name() const override { return kernel_->name(); }
  void run() override {
    for (int phase = 0; phase < kernel_->num_phases(); ++phase) {
      pool_.run(kernel_->num_tasks(phase), [&](int64_t task, int thread) {
        KernelArgs args;
        args.inputs = inputs_;
        args.outputs = outputs_;
        args.shared_scratch = shared_.data();
        args.thread_scratch = scratch_[static_cast<size_t>(thread)].data();
        kernel_->run(phase, task, args);
      });
    }
  }

 private:
  std::shared_ptr<const Kernel> kernel_;
  ThreadPool& pool_;
  PageBuffer shared_;
  std::vector<PageBuffer> scratch_;
  std::vector<Tensor> tensors_;
  std::vector<InputView> inputs_;
  std::vector<OutputView> outputs_;
};

}  // namespace

std::unique_ptr<Contestant> make_ours(const LayerCase& layer, Pass pass, const Target& target,
                                      ThreadPool& pool, int64_t& flops, int64_t& bytes) {
  const TensorDesc y = TensorDesc::activation(layer.n, layer.c_out, layer.output_extent());
  const TensorDesc weights =
      layer.kind == ConvKind::conv
          ? TensorDesc::plain(layer.c_out, layer.input_channels(), layer.geometry.kernel)
          : TensorDesc::plain(layer.input_channels(), layer.c_out, layer.geometry.kernel);
  std::vector<TensorDesc> xs;
  for (const int64_t c : layer.c_in) {
    xs.push_back(TensorDesc::activation(layer.n, c, layer.extent));
  }
  std::shared_ptr<const Op> op;
  std::vector<TensorDesc> inputs;
  switch (pass) {
    case Pass::forward:
      op = make_conv_op(layer.kind, layer.geometry);
      inputs = {weights, TensorDesc::plain(1, 1, {1, 1, layer.c_out})};
      inputs.insert(inputs.end(), xs.begin(), xs.end());
      break;
    case Pass::data:
      op = make_conv_data_gradient_op(layer.kind, layer.geometry, layer.c_in, layer.extent);
      inputs = {y, weights};
      break;
    case Pass::weights:
      op = make_conv_weight_gradient_op(layer.kind, layer.geometry, true);
      inputs = {y};
      inputs.insert(inputs.end(), xs.begin(), xs.end());
      break;
  }
  const std::vector<TensorDesc> outputs = op->infer(inputs);
  auto kernel = op->prepare({inputs, outputs, target});
  flops = kernel->flops();
  bytes = kernel->traffic_bytes();
  return std::make_unique<Ours>(std::move(kernel), inputs, outputs, pool);
}

}  // namespace wholemount::bench
