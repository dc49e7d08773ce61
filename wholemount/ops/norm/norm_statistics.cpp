#include "wholemount/ops/norm/norm_statistics.h"

#include <cmath>
#include <limits>
#include <utility>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/norm/norm_differentiate.h"
#include "wholemount/ops/norm/norm_lanes.h"
#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/tensor/element.h"

namespace wholemount {

namespace {

constexpr size_t kFirstVolume = 2;  // after gamma and beta

double read_lane(const TensorView& view, int64_t row, int64_t channel) {
  return read_element(view, 0, row, 0, 0, channel);
}

void write_lane(const TensorView& view, int64_t row, int64_t channel, double value) {
  write_element(view, 0, row, 0, 0, channel, value);
}

// What the fast and the reference kernel share: shapes, boxes, costs.
class StatisticsKernel : public Kernel {
 public:
  StatisticsKernel(const PrepareContext& context, int64_t channels_per_mean, double epsilon)
      : inputs_(context.inputs.begin(), context.inputs.end()),
        outputs_(context.outputs.begin(), context.outputs.end()),
        channels_(inputs_[kFirstVolume].c),
        channels_per_mean_(channels_per_mean),
        epsilon_(epsilon) {}

  [[nodiscard]] int64_t flops() const override {
    int64_t elements = 0;
    for (size_t i = kFirstVolume; i < inputs_.size(); ++i) {
      elements += inputs_[i].num_elements();
    }
    return 4 * elements;  // x - mean, its square, two sums
  }
  [[nodiscard]] int64_t traffic_bytes() const override {
    size_t bytes = 0;
    for (size_t i = kFirstVolume; i < inputs_.size(); ++i) {
      bytes += inputs_[i].bytes();
    }
    return static_cast<int64_t>(bytes);
  }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] Box3 output_box(int phase, int64_t /*task*/, int output) const override {
    return phase == 1 ? whole_box(outputs_[static_cast<size_t>(output)].extent) : Box3{};
  }

 protected:
  std::vector<TensorDesc> inputs_;
  std::vector<TensorDesc> outputs_;
  int64_t channels_;
  int64_t channels_per_mean_;
  double epsilon_;
};

// Phase 0: moments of each (sample, slab, channel block). Phase 1: one task folds them in order.
class FastStatisticsKernel final : public StatisticsKernel {
 public:
  FastStatisticsKernel(const PrepareContext& context, int64_t channels_per_mean, double epsilon)
      : StatisticsKernel(context, channels_per_mean, epsilon),
        width_(inputs_[kFirstVolume].block_width()),
        isa_(context.target.isa),
        lane_moments_(WM_PICK_ISA(context.target.isa, lane_moments)) {
    for (size_t i = kFirstVolume; i < inputs_.size(); ++i) {
      samples_.emplace_back(inputs_[i]);
      first_task_.push_back(num_tasks_);
      num_tasks_ += samples_.back().num_tasks();
    }
  }
  [[nodiscard]] std::string name() const override {
    return "norm_statistics_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return partials_bytes() + static_cast<size_t>(channels_) * sizeof(Moments);
  }
  [[nodiscard]] int64_t num_tasks(int phase) const override { return phase == 0 ? num_tasks_ : 1; }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override {
    const auto index = static_cast<size_t>(input);
    if (index < kFirstVolume) {
      return whole_box(inputs_[index].extent);
    }
    const auto [sample, local] = locate(task);
    return phase == 0 && sample == index - kFirstVolume ? samples_[sample].box(local) : Box3{};
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      run_slab(task, args);
    } else {
      fold(args);
    }
  }

 private:
  [[nodiscard]] size_t partials_bytes() const {
    return static_cast<size_t>(checked_multiply(num_tasks_, 2 * width_)) * sizeof(double);
  }
  [[nodiscard]] std::pair<size_t, int64_t> locate(int64_t task) const {
    size_t sample = first_task_.size() - 1;
    while (first_task_[sample] > task) {
      --sample;
    }
    return {sample, task - first_task_[sample]};
  }
  [[nodiscard]] double* partial(int64_t task, const KernelArgs& args) const {
    return reinterpret_cast<double*>(args.shared_scratch) + task * 2 * width_;
  }

  void run_slab(int64_t task, const KernelArgs& args) const {
    const auto [sample, local] = locate(task);
    const float* x = samples_[sample].pointer(args.inputs[sample + kFirstVolume].view, local);
    const int64_t elements = samples_[sample].num_elements(local);
    const int64_t vectors = elements / 16;
    double* result = partial(task, args);
    if (width_ == 16) {
      lane_moments_(x, vectors, result, result + 16);
      return;
    }
    alignas(64) double mean[16];
    alignas(64) double m2[16];
    lane_moments_(x, vectors, mean, m2);
    Moments all;
    for (int lane = 0; lane < 16; ++lane) {
      all.merge({static_cast<double>(vectors), mean[lane], m2[lane]});
    }
    for (int64_t i = 16 * vectors; i < elements; ++i) {
      all.merge({1.0, static_cast<double>(x[i]), 0.0});
    }
    result[0] = all.mean;
    result[1] = all.m2;
  }

  void fold(const KernelArgs& args) const {
    auto* moments = reinterpret_cast<Moments*>(args.shared_scratch + partials_bytes());
    for (int64_t channel = 0; channel < channels_; ++channel) {
      Moments all;
      for (size_t sample = 0; sample < samples_.size(); ++sample) {
        const BlockSlabTasks& tasks = samples_[sample];
        for (int64_t slab = 0; slab < tasks.num_slabs(); ++slab) {
          const int64_t local = tasks.task(channel / width_, slab);
          const double* part = partial(first_task_[sample] + local, args) + channel % width_;
          const int64_t voxels = tasks.num_elements(local) / width_;
          all.merge({static_cast<double>(voxels), part[0], part[width_]});
        }
      }
      moments[channel] = all;
    }
    finish_statistics(args, {moments, static_cast<size_t>(channels_)}, channels_per_mean_,
                      epsilon_);
  }

  int64_t width_;
  Isa isa_;
  void (*lane_moments_)(const float*, int64_t, double*, double*);
  std::vector<BlockSlabTasks> samples_;
  std::vector<int64_t> first_task_;
  int64_t num_tasks_ = 0;
};

// Two passes in double: the mean, then the squared deviations from it.
class ReferenceStatisticsKernel final : public StatisticsKernel {
 public:
  using StatisticsKernel::StatisticsKernel;
  [[nodiscard]] std::string name() const override { return "norm_statistics_reference"; }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return static_cast<size_t>(channels_) * sizeof(Moments);
  }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] int64_t num_tasks(int phase) const override { return phase == 0 ? channels_ : 1; }
  [[nodiscard]] Box3 input_box(int phase, int64_t /*task*/, int input) const override {
    const bool is_read = phase == 0 || static_cast<size_t>(input) < kFirstVolume;
    return is_read ? whole_box(inputs_[static_cast<size_t>(input)].extent) : Box3{};
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    auto* moments = reinterpret_cast<Moments*>(args.shared_scratch);
    if (phase == 1) {
      finish_statistics(args, {moments, static_cast<size_t>(channels_)}, channels_per_mean_,
                        epsilon_);
      return;
    }
    Moments all;
    double sum = 0.0;
    for_each_value(task, args, [&](double x) {
      sum += x;
      all.count += 1.0;
    });
    all.mean = sum / all.count;
    for_each_value(task, args, [&](double x) { all.m2 += (x - all.mean) * (x - all.mean); });
    moments[task] = all;
  }

 private:
  template <class Visit>
  static void for_each_value(int64_t channel, const KernelArgs& args, const Visit& visit) {
    for (size_t i = kFirstVolume; i < args.inputs.size(); ++i) {
      const TensorView& x = args.inputs[i].view;
      for (int64_t d = 0; d < x.desc.extent.d; ++d) {
        for (int64_t h = 0; h < x.desc.extent.h; ++h) {
          for (int64_t w = 0; w < x.desc.extent.w; ++w) {
            visit(read_element(x, 0, channel, d, h, w));
          }
        }
      }
    }
  }
};

class NormStatisticsOp final : public Op {
 public:
  explicit NormStatisticsOp(const NormSpec& spec) : spec_(spec) {
    check_norm_spec(spec, "norm_statistics");
  }
  [[nodiscard]] std::string name() const override { return "norm_statistics"; }
  [[nodiscard]] std::string attributes() const override { return norm_kind_text(spec_); }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    if (inputs.size() <= kFirstVolume) {
      throw ShapeError("norm_statistics: " + std::to_string(inputs.size()) +
                       " inputs, wanted gamma, beta and at least one volume");
    }
    const TensorDesc& first = inputs[kFirstVolume];
    for (const TensorDesc& x : inputs.subspan(kFirstVolume)) {
      check_norm_volume(x, "norm_statistics");
      if (x.c != first.c || x.dtype != first.dtype || x.layout != first.layout) {
        throw ShapeError("norm_statistics: samples " + to_string(first) + " and " + to_string(x) +
                         " differ in channels or type; a norm joins volumes of one kind");
      }
    }
    return infer_statistics(spec_, inputs, first.c, first.dtype, "norm_statistics");
  }

  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }

  void differentiate(const Node& node, Differentiation& scope) const override {
    const int64_t channels = scope.builder().desc(node.inputs[kFirstVolume]).c;
    differentiate_norm(node, {node.inputs.begin() + kFirstVolume, node.inputs.end()},
                       channels_per_mean(spec_, channels), scope);
  }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const TensorDesc& x = context.inputs[kFirstVolume];
    const int64_t joined = channels_per_mean(spec_, x.c);
    if (wants_reference(context, x)) {
      return std::make_shared<ReferenceStatisticsKernel>(context, joined, spec_.epsilon);
    }
    return std::make_shared<FastStatisticsKernel>(context, joined, spec_.epsilon);
  }

 private:
  NormSpec spec_;
};

}  // namespace

void write_statistics(const TensorView& statistics, int64_t channel, double mean, double variance,
                      double epsilon, double gamma, double beta) {
  const double rstd = 1.0 / std::sqrt(variance + epsilon);
  write_lane(statistics, StatisticsRow::mean, channel, mean);
  write_lane(statistics, StatisticsRow::variance, channel, variance);
  write_lane(statistics, StatisticsRow::rstd, channel, rstd);
  write_lane(statistics, StatisticsRow::scale, channel, gamma * rstd);
  write_lane(statistics, StatisticsRow::shift, channel, beta - mean * gamma * rstd);
}

void clear_statistics_padding(const TensorView& statistics, int64_t channels) {
  for (int64_t row = 0; row < StatisticsRow::kNumRows; ++row) {
    for (int64_t lane = channels; lane < statistics.desc.extent.w; ++lane) {
      write_lane(statistics, row, lane, 0.0);
    }
  }
}

void write_parameter_gradient(const OutputView& output, int64_t channel, double value) {
  if (output.view.origin == nullptr) {
    return;
  }
  double result = value;
  if (output.view.desc.dtype == DType::f32) {
    // One rounding to the stored type, then one addition, as for every other gradient.
    result = static_cast<double>(static_cast<float>(value));
  }
  if (output.accumulate) {
    result += read_lane(output.view, 0, channel);
  }
  write_lane(output.view, 0, channel, result);
}

void finish_statistics(const KernelArgs& args, std::span<Moments> moments,
                       int64_t channels_per_mean, double epsilon) {
  const auto channels = static_cast<int64_t>(moments.size());
  for (int64_t first = 0; first < channels; first += channels_per_mean) {
    Moments all;
    for (int64_t i = 0; i < channels_per_mean; ++i) {
      all.merge(moments[static_cast<size_t>(first + i)]);
    }
    for (int64_t i = 0; i < channels_per_mean; ++i) {
      moments[static_cast<size_t>(first + i)] = all;
    }
  }
  for (int64_t channel = 0; channel < channels; ++channel) {
    const Moments& all = moments[static_cast<size_t>(channel)];
    write_statistics(args.outputs[0].view, channel, all.mean, all.m2 / all.count, epsilon,
                     read_lane(args.inputs[0].view, 0, channel),
                     read_lane(args.inputs[1].view, 0, channel));
    if (args.outputs.size() == 3) {
      write_parameter_gradient(args.outputs[1], channel, all.mean);
      write_parameter_gradient(args.outputs[2], channel,
                               all.count > 1.0 ? all.m2 / (all.count - 1.0) : 0.0);
    }
  }
  clear_statistics_padding(args.outputs[0].view, channels);
}

void check_norm_spec(const NormSpec& spec, const char* op) {
  if (!(spec.epsilon > 0.0F)) {
    throw ShapeError(std::string(op) + ": epsilon is " + std::to_string(spec.epsilon) +
                     ", wanted > 0");
  }
  if (spec.kind == NormKind::group && spec.groups < 1) {
    throw ShapeError(std::string(op) + ": " + std::to_string(spec.groups) +
                     " groups, wanted at least 1");
  }
}

std::string norm_kind_text(const NormSpec& spec) {
  switch (spec.kind) {
    case NormKind::batch:
      return "batch";
    case NormKind::instance:
      return "instance";
    case NormKind::group:
      return "group" + std::to_string(spec.groups);
  }
  return {};
}

int64_t channels_per_mean(const NormSpec& spec, int64_t channels) {
  return spec.kind == NormKind::group ? channels / spec.groups : 1;
}

std::vector<TensorDesc> infer_statistics(const NormSpec& spec, std::span<const TensorDesc> inputs,
                                         int64_t channels, DType dtype, const char* op) {
  check_channel_vector(inputs[0], channels, op, "weight");
  check_channel_vector(inputs[1], channels, op, "bias");
  if (spec.kind == NormKind::group && channels % spec.groups != 0) {
    throw ShapeError(std::string(op) + ": " + std::to_string(channels) + " channels in " +
                     std::to_string(spec.groups) + " groups; choose a divisor");
  }
  std::vector<TensorDesc> outputs{statistics_desc(channels, dtype)};
  if (spec.kind == NormKind::batch) {
    outputs.resize(3, TensorDesc::plain(1, 1, {1, 1, channels}, dtype));
  }
  return outputs;
}

void check_norm_volume(const TensorDesc& x, const char* op) {
  if (x.n != 1 || x.c < 1 || volume(x.extent) < 1) {
    throw ShapeError(std::string(op) + ": input is " + to_string(x) +
                     ", wanted one sample (n = 1) with at least one channel and voxel; give each "
                     "sample a value of its own");
  }
  if (x.dtype != DType::f32 && x.dtype != DType::f64) {
    throw ShapeError(std::string(op) + ": input is " + to_string(x) + ", wanted f32 or f64");
  }
}

void check_channel_vector(const TensorDesc& desc, int64_t channels, const char* op,
                          const char* what) {
  if (desc.layout != Layout::plain || desc.n != 1 || desc.c != 1 ||
      desc.extent != Extent3{1, 1, channels}) {
    throw ShapeError(std::string(op) + ": " + what + " is " + to_string(desc) +
                     ", wanted n1 c1 1x1x" + std::to_string(channels));
  }
}

std::shared_ptr<const Op> make_norm_statistics_op(const NormSpec& spec) {
  return std::make_shared<NormStatisticsOp>(spec);
}

}  // namespace wholemount
