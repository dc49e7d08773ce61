// Times the convolution kernels of each pass on the layers of paper A's U-Net. Rounds alternate
// with a loop of register multiply-adds, so that the ratio to the machine's peak holds on a busy
// host. Usage: conv_kernels [portable|avx2|avx512] [threads] [scale] [rounds] scale: divides d of
// the largest layers, to keep a run short.

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

void time_pass(const Op& op, const std::vector<TensorDesc>& inputs, Isa isa, ThreadPool& pool,
               int rounds, const char* layer) {
  const std::vector<TensorDesc> outputs = op.infer(inputs);
  const auto kernel = op.prepare({inputs, outputs, Target{isa, false}});
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
  const PageBuffer shared(kernel->shared_scratch_bytes() + 64);
  std::vector<PageBuffer> scratch;
  for (int t = 0; t < pool.num_threads(); ++t) {
    scratch.emplace_back(kernel->thread_scratch_bytes() + 64);
  }
  const auto run = [&] {
    for (int phase = 0; phase < kernel->num_phases(); ++phase) {
      pool.run(kernel->num_tasks(phase), [&](int64_t task, int thread) {
        KernelArgs args;
        args.inputs = input_views;
        args.outputs = output_views;
        args.shared_scratch = shared.data();
        args.thread_scratch = scratch[static_cast<size_t>(thread)].data();
        kernel->run(phase, task, args);
      });
    }
  };
  run();
  std::vector<double> ratios;
  std::vector<double> rates;
  for (int round = 0; round < rounds; ++round) {
    const double peak = measure_peak_flops(pool, isa, 0.03);
    const double begin = monotonic_seconds();
    int repeats = 0;
    do {
      run();
      ++repeats;
    } while (monotonic_seconds() - begin < 0.05);
    const double rate =
        static_cast<double>(kernel->flops()) * repeats / (monotonic_seconds() - begin);
    rates.push_back(rate * 1e-9);
    ratios.push_back(rate / peak);
  }
  std::printf("%-26s %-38s %8.1f GFLOPS %5.1f %% of peak  scratch %zu + %zu KiB\n", layer,
              kernel->name().c_str(), median(rates), 100.0 * median(ratios),
              kernel->shared_scratch_bytes() >> 10, kernel->thread_scratch_bytes() >> 10);
  std::fflush(stdout);
}

void time_layer(const Layer& layer, Isa isa, ThreadPool& pool, int rounds) {
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
  time_pass(*op, forward, isa, pool, rounds, layer.name);
  if (c_in > 4) {
    time_pass(*make_conv_data_gradient_op(layer.kind, layer.geometry, layer.c_in, layer.extent),
              {y, weights}, isa, pool, rounds, layer.name);
  }
  std::vector<TensorDesc> backward{y};
  backward.insert(backward.end(), xs.begin(), xs.end());
  time_pass(*make_conv_weight_gradient_op(layer.kind, layer.geometry, true), backward, isa, pool,
            rounds, layer.name);
}

}  // namespace
}  // namespace wholemount

int main(int argc, char** argv) {
  using namespace wholemount;
  Isa isa = best_isa();
  for (const Isa named : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (argc > 1 && isa_name(named) == argv[1]) isa = named;
  }
  ThreadPool pool(argc > 2 ? std::atoi(argv[2]) : usable_cpus());
  const int64_t scale = argc > 3 ? std::atoll(argv[3]) : 1;
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 3;
  const char* filter = argc > 5 ? argv[5] : "";
  const Extent3 full{144 / scale, 240, 240};
  const ConvGeometry up{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}};
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
      {"256->256 @12", {256}, 256, {12, 12, 12}},
      {"32->16 up @72x120x120", {32}, 16, {72 / scale, 120, 120}, ConvKind::transposed, up},
      {"64->64 up @24", {64}, 64, {24, 24, 24}, ConvKind::transposed, up},
      {"16->1 k1 @144x240x240", {16}, 1, full, ConvKind::conv, one},
  };
  for (const Layer& layer : layers) {
    if (std::strstr(layer.name, filter) != nullptr) time_layer(layer, isa, pool, rounds);
  }
  return 0;
}
