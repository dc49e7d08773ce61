#include <utility>

#include "wholemount/ops/norm/norm_backward_reference.h"
#include "wholemount/ops/norm/norm_lanes.h"
#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/ops/norm/norm_statistics.h"
#include "wholemount/tensor/element.h"

namespace wholemount {

namespace {

constexpr int64_t kFirstSums = 2;  // fold inputs after gamma and statistics

TensorDesc sums_desc(int64_t channels) {
  return TensorDesc::plain(1, 2, {1, 1, round_up(channels, 16)}, DType::f64);
}

TensorDesc coefficients_desc(int64_t channels, DType dtype) {
  return TensorDesc::plain(1, NormCoefficientRow::kNumRows, {1, 1, round_up(channels, 16)}, dtype);
}

void check_backward_inputs(const TensorDesc& x, const TensorDesc& grad,
                           const TensorDesc& statistics, const char* op) {
  check_norm_volume(x, op);
  if (grad.n != 0 && grad != x) {
    throw ShapeError(std::string(op) + ": gradient is " + to_string(grad) + ", wanted " +
                     to_string(x));
  }
  const TensorDesc wanted = statistics_desc(x.c, x.dtype);
  if (statistics != wanted) {
    throw ShapeError(std::string(op) + ": statistics are " + to_string(statistics) + ", wanted " +
                     to_string(wanted));
  }
}

// Phase 0: sums of each (slab, channel block). Phase 1: one task adds them in order.
class BackwardSumsKernel final : public Kernel {
 public:
  BackwardSumsKernel(const PrepareContext& context, float slope)
      : x_(context.inputs[0]),
        statistics_(context.inputs[2]),
        sums_(context.outputs[0]),
        slope_(slope),
        isa_(context.target.isa),
        sum_(WM_PICK_ISA(context.target.isa, lane_gradient_sums)),
        tasks_(x_) {}
  [[nodiscard]] std::string name() const override {
    return "norm_backward_sums_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return input == 0 && x_.layout == Layout::blocked16;
  }
  [[nodiscard]] int64_t flops() const override { return 7 * x_.num_elements(); }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(2 * x_.bytes());
  }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return static_cast<size_t>(tasks_.num_tasks() * 2 * x_.block_width()) * sizeof(double);
  }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? tasks_.num_tasks() : 1;
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override {
    if (input == 2) {
      return whole_box(statistics_.extent);
    }
    return phase == 0 ? tasks_.box(task) : Box3{};
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t /*task*/, int /*output*/) const override {
    return phase == 1 ? whole_box(sums_.extent) : Box3{};
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      run_slab(task, args);
    } else {
      fold(args);
    }
  }

 private:
  [[nodiscard]] double* partial(int64_t task, const KernelArgs& args) const {
    return reinterpret_cast<double*>(args.shared_scratch) + task * 2 * x_.block_width();
  }

  void run_slab(int64_t task, const KernelArgs& args) const {
    const int64_t width = x_.block_width();
    const TensorView& statistics = args.inputs[2].view;
    const auto lanes = [&](int64_t row) {
      return LaneValues(statistics.at<float>(0, row), tasks_.block(task), width);
    };
    const LaneValues mean = lanes(StatisticsRow::mean);
    const LaneValues rstd = lanes(StatisticsRow::rstd);
    const LaneValues scale = lanes(StatisticsRow::scale);
    const LaneValues shift = lanes(StatisticsRow::shift);
    const TensorView& x = args.inputs[0].view;
    const float* grad = tasks_.pointer(args.inputs[1].view, task);
    const int64_t elements = tasks_.num_elements(task);
    double* result = partial(task, args);
    alignas(64) double p1[16];
    alignas(64) double p2[16];
    LaneGradientSums run{tasks_.address(x, task),
                         x.is_bfloat16(),
                         grad,
                         elements / 16,
                         mean.lane,
                         rstd.lane,
                         scale.lane,
                         shift.lane,
                         slope_,
                         width == 16 ? result : p1,
                         width == 16 ? result + 16 : p2};
    sum_(run);
    if (width == 16) {
      return;
    }
    result[0] = fold_lanes(p1);
    result[1] = fold_lanes(p2);
    const int64_t rest = elements % 16;
    if (rest > 0) {
      // Lanes beyond the end have no gradient and add nothing.
      alignas(64) float last_x[16] = {};
      alignas(64) float last_grad[16] = {};
      std::copy_n(tasks_.pointer(x, task) + elements - rest, rest, last_x);
      std::copy_n(grad + elements - rest, rest, last_grad);
      run.x = last_x;
      run.grad = last_grad;
      run.num_vectors = 1;
      sum_(run);
      result[0] += fold_lanes(p1);
      result[1] += fold_lanes(p2);
    }
  }

  static double fold_lanes(const double* lanes) {
    double sum = 0.0;
    for (int lane = 0; lane < 16; ++lane) {
      sum += lanes[lane];
    }
    return sum;
  }

  void fold(const KernelArgs& args) const {
    const int64_t width = x_.block_width();
    auto* p1 = args.outputs[0].view.at<double>(0, 0);
    auto* p2 = args.outputs[0].view.at<double>(0, 1);
    for (int64_t channel = 0; channel < sums_.extent.w; ++channel) {
      p1[channel] = 0.0;
      p2[channel] = 0.0;
      for (int64_t slab = 0; channel < x_.c && slab < tasks_.num_slabs(); ++slab) {
        const double* part = partial(tasks_.task(channel / width, slab), args) + channel % width;
        p1[channel] += part[0];
        p2[channel] += part[width];
      }
    }
  }

  TensorDesc x_;
  TensorDesc statistics_;
  TensorDesc sums_;
  float slope_;
  Isa isa_;
  void (*sum_)(const LaneGradientSums&);
  BlockSlabTasks tasks_;
};

class BackwardSumsOp final : public Op {
 public:
  explicit BackwardSumsOp(float slope) : slope_(slope) {}
  [[nodiscard]] std::string name() const override { return "norm_backward_sums"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_backward_inputs(inputs[0], inputs[1], inputs[2], "norm_backward_sums");
    return {sums_desc(inputs[0].c)};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (wants_reference(context, context.inputs[0])) {
      return make_norm_backward_sums_reference(context, slope_);
    }
    return std::make_shared<BackwardSumsKernel>(context, slope_);
  }

 private:
  float slope_;
};

// Small: computed in double whatever the types, so it is its own reference.
class BackwardFoldKernel final : public SingleTaskKernel {
 public:
  BackwardFoldKernel(const PrepareContext& context, int64_t num_values, int64_t channels_per_mean)
      : SingleTaskKernel(context.inputs, context.outputs),
        is_reference_(wants_reference(context, context.inputs[0])),
        inverse_count_(1.0 / static_cast<double>(num_values)),
        channels_per_mean_(channels_per_mean) {}
  [[nodiscard]] std::string name() const override {
    return is_reference_ ? "norm_backward_fold_reference" : "norm_backward_fold";
  }

  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    const int64_t channels = input_desc(0).extent.w;
    const TensorView& coefficients = args.outputs[0].view;
    for (int64_t first = 0; first < channels; first += channels_per_mean_) {
      double g1 = 0.0;
      double g2 = 0.0;
      for (int64_t channel = first; channel < first + channels_per_mean_; ++channel) {
        const auto [p1, p2] = sums_over_samples(channel, args);
        const double gamma = read_element(args.inputs[0].view, 0, 0, 0, 0, channel);
        g1 += gamma * p1;
        g2 += gamma * p2;
        write_parameter_gradient(args.outputs[1], channel, p2);
        write_parameter_gradient(args.outputs[2], channel, p1);
      }
      for (int64_t channel = first; channel < first + channels_per_mean_; ++channel) {
        const double gamma = read_element(args.inputs[0].view, 0, 0, 0, 0, channel);
        const double rstd =
            read_element(args.inputs[1].view, 0, StatisticsRow::rstd, 0, 0, channel);
        write_row(coefficients, NormCoefficientRow::a, channel, gamma * rstd);
        write_row(coefficients, NormCoefficientRow::b, channel, -rstd * rstd * g2 * inverse_count_);
        write_row(coefficients, NormCoefficientRow::c, channel, -rstd * g1 * inverse_count_);
      }
    }
    for (int64_t row = 0; row < NormCoefficientRow::kNumRows; ++row) {
      for (int64_t lane = channels; lane < coefficients.desc.extent.w; ++lane) {
        write_row(coefficients, row, lane, 0.0);
      }
    }
  }

 private:
  static void write_row(const TensorView& view, int64_t row, int64_t channel, double value) {
    write_element(view, 0, row, 0, 0, channel, value);
  }
  [[nodiscard]] static std::pair<double, double> sums_over_samples(int64_t channel,
                                                                   const KernelArgs& args) {
    double p1 = 0.0;
    double p2 = 0.0;
    for (size_t i = kFirstSums; i < args.inputs.size(); ++i) {
      p1 += read_element(args.inputs[i].view, 0, 0, 0, 0, channel);
      p2 += read_element(args.inputs[i].view, 0, 1, 0, 0, channel);
    }
    return {p1, p2};
  }

  bool is_reference_;
  double inverse_count_;
  int64_t channels_per_mean_;
};

class BackwardFoldOp final : public Op {
 public:
  BackwardFoldOp(int64_t num_values, int64_t channels_per_mean)
      : num_values_(num_values), channels_per_mean_(channels_per_mean) {
    WM_CHECK(num_values >= 1 && channels_per_mean >= 1, "a mean has values behind it");
  }
  [[nodiscard]] std::string name() const override { return "norm_backward_fold"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    const int64_t channels = inputs[0].extent.w;
    const TensorDesc vector = TensorDesc::plain(1, 1, {1, 1, channels}, inputs[0].dtype);
    bool fits = inputs[0] == vector && inputs[1] == statistics_desc(channels, vector.dtype) &&
                channels % channels_per_mean_ == 0;
    for (const TensorDesc& sums : inputs.subspan(kFirstSums)) {
      fits = fits && sums == sums_desc(channels);
    }
    if (!fits) {
      throw ShapeError("norm_backward_fold: weight " + to_string(inputs[0]) + ", statistics " +
                       to_string(inputs[1]) + " and the sums do not belong together");
    }
    return {coefficients_desc(channels, vector.dtype), vector, vector};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<BackwardFoldKernel>(context, num_values_, channels_per_mean_);
  }

 private:
  int64_t num_values_;
  int64_t channels_per_mean_;
};

class BackwardApplyKernel final : public Kernel {
 public:
  BackwardApplyKernel(const PrepareContext& context, float slope)
      : x_(context.inputs[0]),
        statistics_(context.inputs[2]),
        has_gradient_(context.inputs[1].n != 0),
        slope_(slope),
        isa_(context.target.isa),
        apply_(WM_PICK_ISA(context.target.isa, lane_gradient_apply)),
        tasks_(x_) {}
  [[nodiscard]] std::string name() const override {
    return "norm_backward_apply_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return input == 0 && x_.layout == Layout::blocked16;
  }
  [[nodiscard]] int64_t flops() const override { return 8 * x_.num_elements(); }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>((has_gradient_ ? 3 : 2) * x_.bytes());
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return tasks_.num_tasks(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int input) const override {
    if (input >= 2) {
      return whole_box(statistics_.extent);  // the coefficients have the same extent
    }
    return input == 1 && !has_gradient_ ? Box3{} : tasks_.box(task);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return tasks_.box(task);
  }

  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const int64_t width = x_.block_width();
    const auto lanes = [&](size_t input, int64_t row) {
      return LaneValues(args.inputs[input].view.at<float>(0, row), tasks_.block(task), width);
    };
    const LaneValues mean = lanes(2, StatisticsRow::mean);
    const LaneValues scale = lanes(2, StatisticsRow::scale);
    const LaneValues shift = lanes(2, StatisticsRow::shift);
    const LaneValues a = lanes(3, NormCoefficientRow::a);
    const LaneValues b = lanes(3, NormCoefficientRow::b);
    const LaneValues c = lanes(3, NormCoefficientRow::c);
    const TensorView& x = args.inputs[0].view;
    const float* grad = has_gradient_ ? tasks_.pointer(args.inputs[1].view, task) : nullptr;
    float* out = tasks_.pointer(args.outputs[0].view, task);
    const int64_t elements = tasks_.num_elements(task);
    LaneGradientApply run{tasks_.address(x, task),
                          x.is_bfloat16(),
                          grad,
                          out,
                          elements / 16,
                          mean.lane,
                          scale.lane,
                          shift.lane,
                          slope_,
                          a.lane,
                          b.lane,
                          c.lane};
    apply_(run);
    const int64_t rest = elements % 16;
    if (rest > 0) {
      alignas(64) float last_x[16] = {};
      alignas(64) float last_grad[16] = {};
      std::copy_n(tasks_.pointer(x, task) + elements - rest, rest, last_x);
      if (has_gradient_) {
        std::copy_n(grad + elements - rest, rest, last_grad);
      }
      run.x = last_x;
      run.grad = last_grad;
      run.out = last_grad;
      run.num_vectors = 1;
      apply_(run);
      std::copy_n(last_grad, rest, out + elements - rest);
    }
  }

 private:
  TensorDesc x_;
  TensorDesc statistics_;
  bool has_gradient_;
  float slope_;
  Isa isa_;
  void (*apply_)(const LaneGradientApply&);
  BlockSlabTasks tasks_;
};

class BackwardApplyOp final : public Op {
 public:
  explicit BackwardApplyOp(float slope) : slope_(slope) {}
  [[nodiscard]] std::string name() const override { return "norm_backward_apply"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_backward_inputs(inputs[0], inputs[1], inputs[2], "norm_backward_apply");
    const TensorDesc wanted = coefficients_desc(inputs[0].c, inputs[0].dtype);
    if (inputs[3] != wanted) {
      throw ShapeError("norm_backward_apply: coefficients are " + to_string(inputs[3]) +
                       ", wanted " + to_string(wanted));
    }
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return input < 2 ? output_box : whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 1; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (wants_reference(context, context.inputs[0])) {
      return make_norm_backward_apply_reference(context, slope_);
    }
    return std::make_shared<BackwardApplyKernel>(context, slope_);
  }

 private:
  float slope_;
};

}  // namespace

std::shared_ptr<const Op> make_norm_backward_sums_op(float slope) {
  return std::make_shared<BackwardSumsOp>(slope);
}

std::shared_ptr<const Op> make_norm_backward_fold_op(int64_t num_values,
                                                     int64_t channels_per_mean) {
  return std::make_shared<BackwardFoldOp>(num_values, channels_per_mean);
}

std::shared_ptr<const Op> make_norm_backward_apply_op(float slope) {
  return std::make_shared<BackwardApplyOp>(slope);
}

}  // namespace wholemount
