#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <unordered_map>

#include "bench/kernels/rival.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/parallel/affinity.h"

namespace wholemount::bench {

namespace {

using dnnl::memory;

memory::dims to_dims(int64_t a, int64_t b, const Extent3& e) { return {a, b, e.d, e.h, e.w}; }
memory::dims to_dims(const Extent3& e) { return {e.d, e.h, e.w}; }

memory::desc any(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

/// Lets OpenMP's threads run on every CPU: they inherit the mask of the thread that starts them,
/// which our pool has bound to one.
int start_threads(int threads) {
  omp_set_num_threads(threads);
#pragma omp parallel
  {
    if (omp_get_thread_num() > 0) set_thread_affinity(process_cpus());
  }
  return threads;
}

class OneDnn final : public Contestant {
 public:
  OneDnn(const LayerCase& layer, Pass pass, int threads)
      : threads_(start_threads(threads)), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    layer.kind == ConvKind::conv ? make<Convolution>(layer, pass) : make<Transposed>(layer, pass);
  }
  [[nodiscard]] std::string name() const override { return name_; }
  void run() override {
    omp_set_num_threads(threads_);
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  void run_with_reorder() override {
    const bool gradient = weights_argument_ == DNNL_ARG_DIFF_WEIGHTS;
    if (gradient) run();
    omp_set_num_threads(threads_);
    memory& own = arguments_.at(weights_argument_);
    reorder_.execute(stream_, gradient ? own : plain_weights_, gradient ? plain_weights_ : own);
    stream_.wait();
    if (!gradient) run();
  }

 private:
  struct Convolution {
    using Forward = dnnl::convolution_forward;
    using Data = dnnl::convolution_backward_data;
    using Weights = dnnl::convolution_backward_weights;
    static constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
    static constexpr auto kPlain = memory::format_tag::oidhw;
  };
  struct Transposed {
    using Forward = dnnl::deconvolution_forward;
    using Data = dnnl::deconvolution_backward_data;
    using Weights = dnnl::deconvolution_backward_weights;
    static constexpr auto kAlgorithm = dnnl::algorithm::deconvolution_direct;
    static constexpr auto kPlain = memory::format_tag::iodhw;
  };

  void bind(int argument, const memory::desc& desc) {
    memory one(desc, engine_);
    auto* values = static_cast<float*>(one.get_data_handle());
    const size_t count = desc.get_size() / sizeof(float);
    for (size_t i = 0; i < count; ++i) {
      values[i] = static_cast<float>(static_cast<int>(i * 7919 % 2003) - 1001) * 1e-3F;
    }
    arguments_.insert({argument, one});
  }

  template <class Kind>
  void make(const LayerCase& layer, Pass pass) {
    const memory::desc source = any(to_dims(layer.n, layer.input_channels(), layer.extent));
    const memory::desc result = any(to_dims(layer.n, layer.c_out, layer.output_extent()));
    const memory::desc weights =
        any(to_dims(layer.c_out, layer.input_channels(), layer.geometry.kernel));
    const memory::desc bias({layer.c_out}, memory::data_type::f32, memory::format_tag::x);
    const memory::dims strides = to_dims(layer.geometry.stride);
    const memory::dims padding = to_dims(layer.geometry.padding);
    const typename Kind::Forward::desc forward_desc(dnnl::prop_kind::forward_training,
                                                    Kind::kAlgorithm, source, weights, bias, result,
                                                    strides, padding, padding);
    const typename Kind::Forward::primitive_desc forward(forward_desc, engine_);
    if (pass == Pass::forward) {
      primitive_ = typename Kind::Forward(forward);
      name_ = forward.impl_info_str();
      bind(DNNL_ARG_SRC, forward.src_desc());
      bind(DNNL_ARG_WEIGHTS, forward.weights_desc());
      bind(DNNL_ARG_BIAS, forward.bias_desc());
      bind(DNNL_ARG_DST, forward.dst_desc());
    } else if (pass == Pass::data) {
      const typename Kind::Data::desc desc(Kind::kAlgorithm, source, weights, result, strides,
                                           padding, padding);
      const typename Kind::Data::primitive_desc data(desc, engine_, forward);
      primitive_ = typename Kind::Data(data);
      name_ = data.impl_info_str();
      bind(DNNL_ARG_DIFF_DST, data.diff_dst_desc());
      bind(DNNL_ARG_WEIGHTS, data.weights_desc());
      bind(DNNL_ARG_DIFF_SRC, data.diff_src_desc());
    } else {
      const typename Kind::Weights::desc desc(Kind::kAlgorithm, source, weights, bias, result,
                                              strides, padding, padding);
      const typename Kind::Weights::primitive_desc gradient(desc, engine_, forward);
      primitive_ = typename Kind::Weights(gradient);
      name_ = gradient.impl_info_str();
      bind(DNNL_ARG_SRC, gradient.src_desc());
      bind(DNNL_ARG_DIFF_DST, gradient.diff_dst_desc());
      bind(DNNL_ARG_DIFF_WEIGHTS, gradient.diff_weights_desc());
      bind(DNNL_ARG_DIFF_BIAS, gradient.diff_bias_desc());
    }
    make_reorder(pass, {weights.dims(), memory::data_type::f32, Kind::kPlain});
  }

  void make_reorder(Pass pass, const memory::desc& plain) {
    weights_argument_ = pass == Pass::weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
    plain_weights_ = memory(plain, engine_);
    std::fill_n(static_cast<float*>(plain_weights_.get_data_handle()),
                plain.get_size() / sizeof(float), 0.5F);
    const memory& own = arguments_.at(weights_argument_);
    reorder_ = pass == Pass::weights ? dnnl::reorder(own, plain_weights_)
                                     : dnnl::reorder(plain_weights_, own);
  }

  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
  int weights_argument_ = 0;
  memory plain_weights_;
  dnnl::reorder reorder_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Contestant> make_onednn(const LayerCase& layer, Pass pass, int threads) {
  try {
    return std::make_unique<OneDnn>(layer, pass, threads);
  } catch (const dnnl::error& error) {
    throw InternalError("oneDNN refuses \"" + layer.text + "\": " + error.what());
  }
}

void limit_onednn(Isa isa) {
  if (isa == Isa::avx512) return;
  const auto most = isa == Isa::avx2 ? dnnl::cpu_isa::avx2 : dnnl::cpu_isa::sse41;
  if (dnnl::set_max_cpu_isa(most) != dnnl::status::success) {
    throw InternalError("oneDNN does not let itself be limited to an instruction set");
  }
}

}  // namespace wholemount::bench
