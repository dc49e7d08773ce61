#include "wholemount/ops/conv/reference_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "wholemount/tensor/moments.h"

namespace wholemount {

namespace {

template <class T>
T* element(const TensorView& view, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
  const int64_t width = view.desc.block_width();
  return view.at<T>(n, c / width, d, h, w) + c % width;
}

template <class T>
T linear(const InputView& input, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
  const T x = *element<T>(input.view, n, c, d, h, w);
  const auto* scale = static_cast<const T*>(input.transform.scale);
  const auto* shift = static_cast<const T*>(input.transform.shift);
  return scale == nullptr ? x : std::fma(scale[c], x, shift[c]);
}

/// Reads input `index` through its transform; the branch is taken on the twin where there is one.
template <class T>
double read(const KernelArgs& args, int index, int64_t n, int64_t c, int64_t d, int64_t h,
            int64_t w) {
  const auto i = static_cast<size_t>(index);
  const InputView& input = args.inputs[i];
  const T z = linear<T>(input, n, c, d, h, w);
  const bool passes =
      args.decisions.empty() ? z > T{0} : linear<float>(args.decisions[i], n, c, d, h, w) > 0;
  return static_cast<double>(passes ? z : static_cast<T>(input.transform.slope) * z);
}

/// Whether the rectifier of input `index` lets the voxel through; by the twin where there is one.
template <class T>
bool positive(const KernelArgs& args, int index, int64_t n, int64_t c, const Extent3& v) {
  const auto i = static_cast<size_t>(index);
  return args.decisions.empty() ? linear<T>(args.inputs[i], n, c, v.d, v.h, v.w) > T{0}
                                : linear<float>(args.decisions[i], n, c, v.d, v.h, v.w) > 0;
}

/// Kernel positions in the order kd, kh, kw.
template <class Body>
void for_each_tap(const Extent3& kernel, Body body) {
  for (int64_t kd = 0; kd < kernel.d; ++kd) {
    for (int64_t kh = 0; kh < kernel.h; ++kh) {
      for (int64_t kw = 0; kw < kernel.w; ++kw) body(Extent3{kd, kh, kw});
    }
  }
}

template <class Body>
void for_each_voxel(const Extent3& extent, Body body) {
  for_each_tap(extent, body);
}

bool inside(const Extent3& v, const Extent3& extent) {
  return v.d >= 0 && v.d < extent.d && v.h >= 0 && v.h < extent.h && v.w >= 0 && v.w < extent.w;
}

/// The convolution's input voxel behind output `o` and kernel position `k`.
Extent3 input_voxel(const ConvGeometry& g, const Extent3& o, const Extent3& k) {
  return {o.d * g.stride.d + g.dilation.d * k.d - g.padding.d,
          o.h * g.stride.h + g.dilation.h * k.h - g.padding.h,
          o.w * g.stride.w + g.dilation.w * k.w - g.padding.w};
}

/// The output whose position `k` touches input voxel `i`; negative when there is none.
Extent3 output_voxel(const ConvGeometry& g, const Extent3& i, const Extent3& k) {
  const Extent3 t{i.d + g.padding.d - g.dilation.d * k.d, i.h + g.padding.h - g.dilation.h * k.h,
                  i.w + g.padding.w - g.dilation.w * k.w};
  if (t.d % g.stride.d != 0 || t.h % g.stride.h != 0 || t.w % g.stride.w != 0) return {-1, -1, -1};
  return {t.d / g.stride.d, t.h / g.stride.h, t.w / g.stride.w};
}

int64_t tap_index(const Extent3& kernel, const Extent3& k) {
  return (k.d * kernel.h + k.h) * kernel.w + k.w;
}

template <class T>
class ReferenceCorrelation : public Kernel {
 public:
  ReferenceCorrelation(const CorrelationProblem& problem, std::string reason)
      : problem_(problem), reason_(std::move(reason)), blocks_(blocks_of(problem)) {}
  [[nodiscard]] std::string name() const override { return problem_.pass + "_reference"; }
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return has_moments() ? static_cast<size_t>(num_tasks(0)) * kLanes * sizeof(Moments) : 0;
  }
  [[nodiscard]] int num_phases() const override { return has_moments() ? 2 : 1; }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    if (phase == 1) return static_cast<int64_t>(blocks_.size());
    return problem_.sources.front().n * static_cast<int64_t>(blocks_.size()) * planes();
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override {
    if (phase == 1) return {};
    if (input == problem_.weights_input) return whole_box(problem_.weights.extent);
    if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
    if (input == problem_.rectified_input) return output_box(0, task, 0);
    return problem_.geometry.source_box(destinations_of(task));
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override {
    if (output == problem_.moments_output) {
      return phase == 1 ? whole_box(moments_desc(problem_.destination_channels()).extent) : Box3{};
    }
    if (phase == 1) return {};
    return output == block_of(task).tensor
               ? problem_.geometry.destination_box(destinations_of(task))
               : Box3{};
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 1) {
      fold_moments(task, args);
      return;
    }
    const ChannelBlock& block = block_of(task);
    const int64_t n = task / planes() / static_cast<int64_t>(blocks_.size());
    const TensorView& out = args.outputs[static_cast<size_t>(block.tensor)].view;
    if (out.origin == nullptr) return;
    const int64_t width = out.desc.block_width();
    const Box3 box = problem_.geometry.destination_box(destinations_of(task));
    for_each_voxel(box.extent(), [&](const Extent3& i) {
      const Extent3 v{box.begin.d + i.d, box.begin.h + i.h, box.begin.w + i.w};
      T* lanes = out.at<T>(n, block.block, v.d, v.h, v.w);
      for (int64_t lane = 0; lane < width; ++lane) {
        lanes[lane] = lane < block.lanes ? compute(args, n, block.channel + lane, v) : T{0};
      }
    });
    if (!wants_moments(args)) return;
    for (int64_t lane = 0; lane < block.lanes; ++lane) {
      *moments_of(task, lane, args) = plane_moments(out, block.block, lane, box);
    }
  }

 private:
  static constexpr int64_t kLanes = 16;
  [[nodiscard]] bool has_moments() const { return problem_.moments_output >= 0; }
  [[nodiscard]] bool wants_moments(const KernelArgs& args) const {
    return has_moments() &&
           args.outputs[static_cast<size_t>(problem_.moments_output)].view.origin != nullptr;
  }
  static Moments* moments_of(int64_t task, int64_t lane, const KernelArgs& args) {
    return reinterpret_cast<Moments*>(args.shared_scratch) + task * kLanes + lane;
  }
  /// Two passes: the mean, then the squared deviations from it.
  static Moments plane_moments(const TensorView& y, int64_t block, int64_t lane, const Box3& box) {
    Moments moments;
    const auto visit = [&](auto&& body) {
      for_each_voxel(box.extent(), [&](const Extent3& i) {
        body(static_cast<double>(
            y.at<T>(0, block, box.begin.d + i.d, box.begin.h + i.h, box.begin.w + i.w)[lane]));
      });
    };
    double sum = 0.0;
    visit([&](double value) { sum += value; });
    moments.count = static_cast<double>(volume(box.extent()));
    moments.mean = sum / moments.count;
    visit([&](double value) { moments.m2 += (value - moments.mean) * (value - moments.mean); });
    return moments;
  }
  /// A task is a block; the last one also clears the lanes beyond the channels.
  void fold_moments(int64_t task, const KernelArgs& args) const {
    if (!wants_moments(args)) return;
    const TensorView& view = args.outputs[static_cast<size_t>(problem_.moments_output)].view;
    const ChannelBlock& block = blocks_[static_cast<size_t>(task)];
    for (int64_t lane = 0; lane < block.lanes; ++lane) {
      Moments all;
      for (int64_t plane = 0; plane < planes(); ++plane) {
        all.merge(*moments_of(task * planes() + plane, lane, args));
      }
      write_moments(view, block.channel + lane, all);
    }
    if (task + 1 < num_tasks(1)) return;
    for (int64_t c = problem_.destination_channels(); c < view.desc.extent.w; ++c) {
      write_moments(view, c, {});
    }
  }

  /// A task is one plane (for the adjoint: as many as the stride) of one block of one sample.
  [[nodiscard]] int64_t planes() const { return problem_.geometry.d.count; }
  [[nodiscard]] const ChannelBlock& block_of(int64_t task) const {
    return blocks_[static_cast<size_t>(task / planes()) % blocks_.size()];
  }
  /// In steps of the geometry's destination_step.
  [[nodiscard]] Box3 destinations_of(int64_t task) const {
    const CorrelationGeometry& g = problem_.geometry;
    return {{task % planes(), 0, 0}, {task % planes() + 1, g.h.count, g.w.count}};
  }

  /// One block per stored block, single channels for plain tensors.
  static std::vector<ChannelBlock> blocks_of(const CorrelationProblem& problem) {
    std::vector<ChannelBlock> blocks;
    int64_t channel = 0;
    for (size_t t = 0; t < problem.destinations.size(); ++t) {
      const TensorDesc& desc = problem.destinations[t];
      const int64_t width = desc.block_width();
      for (int64_t b = 0; desc.n > 0 && b < desc.num_blocks(); ++b) {
        blocks.push_back({static_cast<int32_t>(t), b,
                          static_cast<int32_t>(std::min(width, desc.c - b * width)),
                          channel + b * width, desc.layout == Layout::plain});
      }
      channel += desc.c;
    }
    return blocks;
  }

  T compute(const KernelArgs& args, int64_t n, int64_t c, const Extent3& v) const {
    const ConvGeometry& g = problem_.conv;
    double sum = 0.0;
    if (problem_.bias_input >= 0) {
      sum = static_cast<double>(
          args.inputs[static_cast<size_t>(problem_.bias_input)].view.template at<T>(0, 0)[c]);
    }
    const T* weights =
        args.inputs[static_cast<size_t>(problem_.weights_input)].view.template at<T>(0, 0) +
        c * problem_.destination_weight_stride();
    for_each_tap(g.kernel, [&](const Extent3& k) {
      const Extent3 source = problem_.adjoint ? output_voxel(g, v, k) : input_voxel(g, v, k);
      if (!inside(source, problem_.sources.front().extent)) return;
      int64_t channel = 0;
      for (size_t t = 0; t < problem_.sources.size(); ++t) {
        for (int64_t s = 0; s < problem_.sources[t].c; ++s, ++channel) {
          const T weight =
              weights[channel * problem_.source_weight_stride() + tap_index(g.kernel, k)];
          sum += static_cast<double>(weight) * read<T>(args,
                                                       problem_.first_source + static_cast<int>(t),
                                                       n, s, source.d, source.h, source.w);
        }
      }
    });
    if (problem_.rectified_input >= 0 && !positive<T>(args, problem_.rectified_input, n, c, v)) {
      sum *= static_cast<double>(problem_.rectified_slope);
    }
    return static_cast<T>(sum);
  }

  CorrelationProblem problem_;
  std::string reason_;
  std::vector<ChannelBlock> blocks_;
};

/// A task is one coarse channel: a row of the weights.
template <class T>
class ReferenceWeightGradient : public Kernel {
 public:
  ReferenceWeightGradient(const WeightGradientProblem& problem, std::string reason)
      : problem_(problem), reason_(std::move(reason)) {}
  [[nodiscard]] std::string name() const override { return problem_.pass + "_reference"; }
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return problem_.weights.n; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t /*task*/, int input) const override {
    return whole_box(input == problem_.coarse_input ? problem_.coarse.extent
                                                    : problem_.fine.front().extent);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t /*task*/, int output) const override {
    if (output == 0) return whole_box(problem_.weights.extent);
    return whole_box({1, 1, problem_.bias_of_fine ? problem_.weights.c : problem_.weights.n});
  }
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    if (args.outputs[0].view.origin != nullptr) sum_weights(task, args);
    if (!problem_.has_bias || args.outputs[1].view.origin == nullptr) return;
    if (!problem_.bias_of_fine) {
      sum_channel(problem_.coarse_input, task, problem_.coarse, task, args);
    } else if (task == 0) {
      int64_t channel = 0;
      for (size_t t = 0; t < problem_.fine.size(); ++t) {
        for (int64_t c = 0; c < problem_.fine[t].c; ++c, ++channel) {
          sum_channel(problem_.first_fine + static_cast<int>(t), c, problem_.fine[t], channel,
                      args);
        }
      }
    }
  }

 private:
  static void put(T& out, double value, bool accumulate) {
    out = accumulate ? out + static_cast<T>(value) : static_cast<T>(value);
  }

  void sum_weights(int64_t a, const KernelArgs& args) const {
    const ConvGeometry& g = problem_.conv;
    const OutputView& output = args.outputs[0];
    T* weights = output.view.template at<T>(0, 0) + a * problem_.weights.c * volume(g.kernel);
    int64_t channel = 0;
    for (size_t t = 0; t < problem_.fine.size(); ++t) {
      for (int64_t b = 0; b < problem_.fine[t].c; ++b, ++channel) {
        for_each_tap(g.kernel, [&](const Extent3& k) {
          double sum = 0.0;
          for (int64_t n = 0; n < problem_.coarse.n; ++n) {
            for_each_voxel(problem_.coarse.extent, [&](const Extent3& o) {
              const Extent3 i = input_voxel(g, o, k);
              if (!inside(i, problem_.fine[t].extent)) return;
              sum += read<T>(args, problem_.coarse_input, n, a, o.d, o.h, o.w) *
                     read<T>(args, problem_.first_fine + static_cast<int>(t), n, b, i.d, i.h, i.w);
            });
          }
          put(weights[channel * volume(g.kernel) + tap_index(g.kernel, k)], sum, output.accumulate);
        });
      }
    }
  }

  void sum_channel(int input, int64_t c, const TensorDesc& desc, int64_t bias_channel,
                   const KernelArgs& args) const {
    double sum = 0.0;
    for (int64_t n = 0; n < desc.n; ++n) {
      for_each_voxel(desc.extent,
                     [&](const Extent3& v) { sum += read<T>(args, input, n, c, v.d, v.h, v.w); });
    }
    put(args.outputs[1].view.template at<T>(0, 0)[bias_channel], sum, args.outputs[1].accumulate);
  }

  WeightGradientProblem problem_;
  std::string reason_;
};

}  // namespace

std::shared_ptr<const Kernel> make_reference_correlation(const CorrelationProblem& problem,
                                                         std::string reason) {
  if (problem.weights.dtype == DType::f64) {
    return std::make_shared<ReferenceCorrelation<double>>(problem, std::move(reason));
  }
  return std::make_shared<ReferenceCorrelation<float>>(problem, std::move(reason));
}

std::shared_ptr<const Kernel> make_reference_weight_gradient(const WeightGradientProblem& problem,
                                                             std::string reason) {
  if (problem.coarse.dtype == DType::f64) {
    return std::make_shared<ReferenceWeightGradient<double>>(problem, std::move(reason));
  }
  return std::make_shared<ReferenceWeightGradient<float>>(problem, std::move(reason));
}

}  // namespace wholemount
