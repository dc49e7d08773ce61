// Times the convolution kernels of each pass on the layers of paper A's U-Net: direct and the
// chosen one. Rounds alternate between them and a loop of register multiply-adds, so that ratios
// hold on a busy host. Rates are effective: operations of the definition, so Winograd may exceed
// the peak. Usage: conv_kernels [portable|avx2|avx512] [threads] [scale] [rounds] [filter] [tiles]
// scale divides d of the largest layers, to keep a run short; filter is a part of a layer's name;
// "tiles" times every Winograd tile.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/machine_rates.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/base/rng.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

struct Layer {
  const char* name;
  std::vector<int64_t> c_in;
  int64_t c_out;
  Extent3 extent;  ///< of the input
  ConvKind kind = ConvKind::conv;
  ConvGeometry geometry = {};
};

struct Options {
  Isa isa = best_isa();
  int rounds = 3;
  bool all_tiles = false;
};

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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One kernel with scratch, over operands shared with its rivals.
class Contender {
 public:
  Contender(std::shared_ptr<const Kernel> kernel, ThreadPool& pool)
      : kernel_(std::move(kernel)), pool_(pool), shared_(kernel_->shared_scratch_bytes() + 64) {
    for (int t = 0; t < pool.num_threads(); ++t) {
      scratch_.emplace_back(kernel_->thread_scratch_bytes() + 64);
    }
  }
  [[nodiscard]] const Kernel& kernel() const { return *kernel_; }

  /// FLOP/s by the operator's definition, over at least 50 ms.
  double rate(const std::vector<InputView>& inputs, const std::vector<OutputView>& outputs) {
    const double begin = monotonic_seconds();
    int repeats = 0;
    do {
      run(inputs, outputs);
      ++repeats;
    } while (monotonic_seconds() - begin < 0.05);
    return static_cast<double>(kernel_->flops()) * repeats / (monotonic_seconds() - begin);
  }

  void run(const std::vector<InputView>& inputs, const std::vector<OutputView>& outputs) {
    for (int phase = 0; phase < kernel_->num_phases(); ++phase) {
      pool_.run(kernel_->num_tasks(phase), [&](int64_t task, int thread) {
        KernelArgs args;
        args.inputs = inputs;
        args.outputs = outputs;
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
};

/// Times the direct kernel and, where it is another, the chosen one (or the Winograd kernels of all
/// tiles) in alternating rounds.
void time_pass(const Op& op, const std::vector<TensorDesc>& inputs, const Options& options,
               ThreadPool& pool, const char* layer) {
  const std::vector<TensorDesc> outputs = op.infer(inputs);
  std::vector<Convolution> asked{Convolution::direct, Convolution::best};
  if (options.all_tiles) {
    asked = {Convolution::direct, Convolution::best, Convolution::winograd2,
             Convolution::winograd24, Convolution::winograd4};
  }
  std::vector<Contender> contenders;
  for (const Convolution convolution : asked) {
    auto kernel = op.prepare({inputs, outputs, Target{options.isa, false, convolution}});
    const bool known = std::any_of(contenders.begin(), contenders.end(), [&](const Contender& c) {
      return c.kernel().name() == kernel->name();
    });
    if (!known) contenders.emplace_back(std::move(kernel), pool);
  }
  std::vector<Tensor> tensors;
  std::vector<InputView> input_views;
  std::vector<OutputView> output_views;
  for (const TensorDesc& desc : inputs) {
    tensors.emplace_back(desc);
    input_views.push_back({tensors.back().view(), {}});
  }
  for (const TensorDesc& desc : outputs) {
    tensors.emplace_back(desc);
    output_views.push_back({tensors.back().view(), false});
  }
  std::vector<std::vector<double>> rates(contenders.size());
  std::vector<std::vector<double>> of_peak(contenders.size());
  std::vector<std::vector<double>> of_direct(contenders.size());
  for (Contender& contender : contenders) contender.run(input_views, output_views);
  for (int round = 0; round < options.rounds; ++round) {
    const double peak = measure_peak_flops(pool, options.isa, 0.03);
    double direct = 0.0;
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double rate = contenders[i].rate(input_views, output_views);
      if (i == 0) direct = rate;
      rates[i].push_back(rate * 1e-9);
      of_peak[i].push_back(rate / peak);
      of_direct[i].push_back(rate / direct);
    }
  }
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Kernel& kernel = contenders[i].kernel();
    std::printf("%-26s %-40s %8.1f GFLOPS %6.1f %% of peak  x%5.2f direct  scratch %zu + %zu KiB\n",
                layer, kernel.name().c_str(), median(rates[i]), 100.0 * median(of_peak[i]),
                median(of_direct[i]), kernel.shared_scratch_bytes() >> 10,
                kernel.thread_scratch_bytes() >> 10);
  }
  std::fflush(stdout);
}

void time_layer(const Layer& layer, const Options& options, ThreadPool& pool) {
  int64_t c_in = 0;
  std::vector<TensorDesc> xs;
  for (const int64_t c : layer.c_in) {
    c_in += c;
    xs.push_back(TensorDesc::activation(1, c, layer.extent));
  }
  const TensorDesc weights = layer.kind == ConvKind::conv
                                 ? TensorDesc::plain(layer.c_out, c_in, layer.geometry.kernel)
                                 : TensorDesc::plain(c_in, layer.c_out, layer.geometry.kernel);
  std::vector<TensorDesc> forward{weights, TensorDesc::plain(1, 1, {1, 1, layer.c_out})};
  forward.insert(forward.end(), xs.begin(), xs.end());
  const auto op = make_conv_op(layer.kind, layer.geometry);
  const TensorDesc y = op->infer(forward).front();
  time_pass(*op, forward, options, pool, layer.name);
  if (c_in > 4) {
    time_pass(*make_conv_data_gradient_op(layer.kind, layer.geometry, layer.c_in, layer.extent),
              {y, weights}, options, pool, layer.name);
  }
  std::vector<TensorDesc> backward{y};
  backward.insert(backward.end(), xs.begin(), xs.end());
  time_pass(*make_conv_weight_gradient_op(layer.kind, layer.geometry, true), backward, options,
            pool, layer.name);
}

}  // namespace
}  // namespace wholemount

int main(int argc, char** argv) {
  using namespace wholemount;
  Options options;
  for (const Isa named : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (argc > 1 && isa_name(named) == argv[1]) options.isa = named;
  }
  ThreadPool pool(argc > 2 ? std::atoi(argv[2]) : usable_cpus());
  const int64_t scale = argc > 3 ? std::atoll(argv[3]) : 1;
  options.rounds = argc > 4 ? std::atoi(argv[4]) : 3;
  const char* filter = argc > 5 ? argv[5] : "";
  options.all_tiles = argc > 6 && std::strcmp(argv[6], "tiles") == 0;
  const Extent3 full{144 / scale, 240, 240};
  const ConvGeometry up{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}};
  const ConvGeometry flat{{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
  const ConvGeometry one{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  const std::vector<Layer> layers{
      {"1->16 @144x240x240", {1}, 16, full},
      {"16->16 @144x240x240", {16}, 16, full},
      {"16->32 @72x120x120", {16}, 32, {72, 120, 120}},
      {"16+16->16 @144x240x240", {16, 16}, 16, full},
      {"32->32 @96", {32}, 32, {96 / scale, 96, 96}},
      {"64->64 @48", {64}, 64, {48, 48, 48}},
      {"128->64 @48", {64, 64}, 64, {48, 48, 48}},
      {"128->128 @24", {128}, 128, {24, 24, 24}},
      {"256->128 @24", {128, 128}, 128, {24, 24, 24}},
      {"256->256 @12", {256}, 256, {12, 12, 12}},
      {"256->256 @6", {256}, 256, {6, 6, 6}},
      {"64->64 2-D @512", {64}, 64, {1, 512, 512}, ConvKind::conv, flat},
      {"32->16 up @72x120x120", {32}, 16, {72 / scale, 120, 120}, ConvKind::transposed, up},
      {"64->64 up @24", {64}, 64, {24, 24, 24}, ConvKind::transposed, up},
      {"16->1 k1 @144x240x240", {16}, 1, full, ConvKind::conv, one},
  };
  for (const Layer& layer : layers) {
    if (std::strstr(layer.name, filter) != nullptr) time_layer(layer, options, pool);
  }
  return 0;
}
