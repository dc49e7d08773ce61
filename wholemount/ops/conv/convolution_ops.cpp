#include "wholemount/ops/conv/convolution_ops.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "wholemount/ops/conv/candidates.h"

namespace wholemount {

namespace {

std::string kind_name(ConvKind kind) { return kind == ConvKind::conv ? "conv" : "conv_transpose"; }

std::string axes_text(const Extent3& e) {
  return e.d == e.h && e.h == e.w ? std::to_string(e.d) : to_string(e);
}

std::string geometry_text(const ConvGeometry& g) {
  std::string text =
      "k" + axes_text(g.kernel) + " s" + axes_text(g.stride) + " p" + axes_text(g.padding);
  if (g.dilation != Extent3{1, 1, 1}) text += " dil" + axes_text(g.dilation);
  return text;
}

int64_t sum_channels(std::span<const TensorDesc> descs) {
  int64_t channels = 0;
  for (const TensorDesc& desc : descs) channels = checked_add(channels, desc.c);
  return channels;
}

void check_same_grid(std::span<const TensorDesc> xs, const std::string& where) {
  if (xs.empty()) throw ShapeError(where + ": has no input; give at least one");
  for (const TensorDesc& x : xs) {
    if (x.n != xs.front().n || x.extent != xs.front().extent || x.dtype != xs.front().dtype) {
      throw ShapeError(where + ": inputs joined by channels must share n, extent and type, found " +
                       to_string(xs.front()) + " and " + to_string(x));
    }
  }
}

/// What all three operators share.
class ConvolutionOp : public Op {
 public:
  ConvolutionOp(ConvKind kind, const ConvGeometry& geometry, const char* suffix)
      : kind_(kind), geometry_(geometry), name_(kind_name(kind) + suffix) {}
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string attributes() const override { return geometry_text(geometry_); }

 protected:
  [[nodiscard]] Extent3 output_extent(const Extent3& input) const {
    return kind_ == ConvKind::conv ? conv_output_extent(geometry_, input, name_)
                                   : conv_adjoint_extent(geometry_, input, name_);
  }
  /// The problem that gathers `destinations` from `sources`, as a convolution or its adjoint.
  [[nodiscard]] CorrelationProblem correlation(bool adjoint, const std::string& pass,
                                               std::span<const TensorDesc> sources,
                                               std::vector<TensorDesc> destinations,
                                               const Extent3& destination_extent,
                                               const TensorDesc& weights) const {
    CorrelationProblem problem;
    problem.pass = pass;
    const Extent3& source_extent = sources.front().extent;
    problem.geometry = adjoint ? adjoint_correlation(geometry_, destination_extent, source_extent)
                               : forward_correlation(geometry_, source_extent, destination_extent);
    problem.conv = geometry_;
    problem.adjoint = adjoint;
    problem.sources.assign(sources.begin(), sources.end());
    problem.destinations = std::move(destinations);
    problem.weights = weights;
    problem.source_is_first_weight_axis = adjoint;
    return problem;
  }

  ConvKind kind_;
  ConvGeometry geometry_;
  std::string name_;
};

class ForwardOp final : public ConvolutionOp {
 public:
  ForwardOp(ConvKind kind, const ConvGeometry& geometry, bool sums_moments = false)
      : ConvolutionOp(kind, geometry, ""), sums_moments_(sums_moments) {}

  [[nodiscard]] std::string attributes() const override {
    return ConvolutionOp::attributes() + (sums_moments_ ? " moments" : "");
  }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    WM_CHECK(inputs.size() >= 2, "conv takes weights, bias and inputs");
    const std::span<const TensorDesc> xs = inputs.subspan(2);
    check_same_grid(xs, name_);
    const TensorDesc& weights = inputs[0];
    const int64_t c_in = kind_ == ConvKind::conv ? weights.c : weights.n;
    const int64_t c_out = kind_ == ConvKind::conv ? weights.n : weights.c;
    if (weights.extent != geometry_.kernel || weights.layout != Layout::plain) {
      throw ShapeError(name_ + ": weights are " + to_string(weights) +
                       ", wanted plain with kernel " + to_string(geometry_.kernel));
    }
    if (sum_channels(xs) != c_in) {
      throw ShapeError(name_ + ": inputs have " + std::to_string(sum_channels(xs)) +
                       " channels, the weights expect " + std::to_string(c_in));
    }
    if (inputs[1].n != 0 && inputs[1].num_elements() != c_out) {
      throw ShapeError(name_ + ": bias has " + std::to_string(inputs[1].num_elements()) +
                       " values, wanted one per output channel: " + std::to_string(c_out));
    }
    std::vector<TensorDesc> outputs{TensorDesc::activation(
        xs.front().n, c_out, output_extent(xs.front().extent), xs.front().dtype)};
    if (sums_moments_) outputs.push_back(moments_desc(c_out));
    return outputs;
  }

  [[nodiscard]] std::shared_ptr<const Op> with_moments(
      std::span<const TensorDesc> inputs) const override {
    // The other kernels are for shapes whose outputs are small, or read at the rate of memory.
    const std::span<const TensorDesc> xs = inputs.subspan(2);
    const bool takes = kind_ == ConvKind::conv && !sums_moments_ && inputs[0].n > 4 &&
                       xs.front().n == 1 && volume(geometry_.kernel) > 1 &&
                       geometry_.stride == Extent3{1, 1, 1} &&
                       volume(output_extent(xs.front().extent)) > 1;
    return takes ? std::make_shared<ForwardOp>(kind_, geometry_, true) : nullptr;
  }

  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    const Extent3& extent = inputs[static_cast<size_t>(input)].extent;
    if (input < 2) return whole_box(extent);
    return kind_ == ConvKind::conv ? conv_input_region(geometry_, output_box, extent)
                                   : conv_adjoint_region(geometry_, output_box, extent);
  }

  [[nodiscard]] bool reads_through(int input) const override { return input >= 2; }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    CorrelationProblem problem =
        correlation(kind_ == ConvKind::transposed, name_ + "_forward", context.inputs.subspan(2),
                    {context.outputs[0]}, context.outputs[0].extent, context.inputs[0]);
    problem.first_source = 2;
    problem.weights_input = 0;
    problem.bias_input = context.inputs[1].n == 0 ? -1 : 1;
    if (sums_moments_ && context.outputs[1].n != 0) problem.moments_output = 1;
    return choose_correlation(problem, context.target);
  }

  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    if (grad_y == kNone) return;
    GraphBuilder& builder = scope.builder();
    const std::vector<ValueId> xs(node.inputs.begin() + 2, node.inputs.end());
    add_weight_gradient(node, xs, grad_y, scope);
    if (std::none_of(xs.begin(), xs.end(), [&](ValueId x) { return scope.wanted(x); })) return;
    std::vector<int64_t> channels;
    for (const ValueId x : xs) channels.push_back(builder.desc(x).c);
    const std::vector<ValueId> grads = builder.add(
        make_conv_data_gradient_op(kind_, geometry_, channels, builder.desc(xs.front()).extent),
        {grad_y, node.inputs[0]}, node.name + ".data_gradient");
    for (size_t i = 0; i < xs.size(); ++i) {
      if (scope.wanted(xs[i])) {
        scope.contribute(xs[i], grads[i]);
      } else {
        builder.drop_output(grads[i]);
      }
    }
  }

 private:
  void add_weight_gradient(const Node& node, const std::vector<ValueId>& xs, ValueId grad_y,
                           Differentiation& scope) const {
    const bool has_bias = node.inputs[1] != kNone;
    std::vector<ValueId> inputs{grad_y};
    inputs.insert(inputs.end(), xs.begin(), xs.end());
    const std::vector<ValueId> grads =
        scope.builder().add(make_conv_weight_gradient_op(kind_, geometry_, has_bias),
                            std::move(inputs), node.name + ".weight_gradient");
    scope.builder().bind_parameter_gradient(grads[0], node.inputs[0]);
    if (has_bias) scope.builder().bind_parameter_gradient(grads[1], node.inputs[1]);
  }

  bool sums_moments_;
};

class DataGradientOp final : public ConvolutionOp {
 public:
  DataGradientOp(ConvKind kind, const ConvGeometry& geometry, std::vector<int64_t> channels,
                 const Extent3& extent, std::optional<float> rectified_slope = std::nullopt)
      : ConvolutionOp(kind, geometry, "_data_gradient"),
        channels_(std::move(channels)),
        extent_(extent),
        rectified_slope_(rectified_slope) {}

  [[nodiscard]] std::string attributes() const override {
    return ConvolutionOp::attributes() +
           (rectified_slope_ ? " rectified" + std::to_string(*rectified_slope_) : std::string());
  }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    WM_CHECK(
        inputs.size() == (rectified_slope_ ? 3 : 2) && inputs[0].extent == output_extent(extent_),
        "the data gradient takes grad_y of the forward pass, its weights and what is "
        "rectified");
    std::vector<TensorDesc> outputs;
    for (const int64_t c : channels_) {
      outputs.push_back(TensorDesc::activation(inputs[0].n, c, extent_, inputs[0].dtype));
    }
    WM_CHECK(!rectified_slope_ || inputs[2] == outputs[0],
             "what is rectified has the shape of its gradient");
    return outputs;
  }

  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    const Extent3& extent = inputs[static_cast<size_t>(input)].extent;
    if (input == 2) return output_box;
    if (input != 0) return whole_box(extent);
    return kind_ == ConvKind::conv ? conv_adjoint_region(geometry_, output_box, extent)
                                   : conv_input_region(geometry_, output_box, extent);
  }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    std::vector<TensorDesc> destinations(context.outputs.begin(), context.outputs.end());
    // The channels of outputs nobody wants still count.
    for (size_t i = 0; i < destinations.size(); ++i) destinations[i].c = channels_[i];
    CorrelationProblem problem =
        correlation(kind_ == ConvKind::conv, name_, context.inputs.first(1),
                    std::move(destinations), extent_, context.inputs[1]);
    problem.first_source = 0;
    problem.weights_input = 1;
    if (rectified_slope_) {
      problem.rectified_input = 2;
      problem.rectified_slope = *rectified_slope_;
    }
    return choose_correlation(problem, context.target);
  }

  [[nodiscard]] RectifiedOp rectified(const Node& /*node*/, int32_t /*y*/,
                                      float slope) const override {
    // The other kernels are for shapes whose gradients are small, or read at the rate of memory.
    const bool takes = kind_ == ConvKind::conv && !rectified_slope_ && channels_.size() == 1 &&
                       channels_.front() > 4 && volume(geometry_.kernel) > 1 &&
                       geometry_.stride == Extent3{1, 1, 1};
    if (!takes) return {};
    return {std::make_shared<DataGradientOp>(kind_, geometry_, channels_, extent_, slope)};
  }

 private:
  std::vector<int64_t> channels_;
  Extent3 extent_;
  std::optional<float> rectified_slope_;
};

class WeightGradientOp final : public ConvolutionOp {
 public:
  WeightGradientOp(ConvKind kind, const ConvGeometry& geometry, bool has_bias)
      : ConvolutionOp(kind, geometry, "_weight_gradient"), has_bias_(has_bias) {}

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    WM_CHECK(inputs.size() >= 2, "the weight gradient takes grad_y and the inputs");
    const std::span<const TensorDesc> xs = inputs.subspan(1);
    check_same_grid(xs, name_);
    const int64_t c_out = inputs[0].c;
    const int64_t c_in = sum_channels(xs);
    const DType dtype = inputs[0].dtype;
    std::vector<TensorDesc> outputs{kind_ == ConvKind::conv
                                        ? TensorDesc::plain(c_out, c_in, geometry_.kernel, dtype)
                                        : TensorDesc::plain(c_in, c_out, geometry_.kernel, dtype)};
    if (has_bias_) outputs.push_back(TensorDesc::plain(1, 1, {1, 1, c_out}, dtype));
    return outputs;
  }

  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }

  [[nodiscard]] bool reads_through(int input) const override { return input >= 1; }

  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const TensorDesc& grad_y = context.inputs[0];
    const std::span<const TensorDesc> xs = context.inputs.subspan(1);
    WeightGradientProblem problem;
    problem.pass = name_;
    problem.conv = geometry_;
    const std::vector<TensorDesc> outputs = infer(context.inputs);
    problem.weights = outputs[0];
    problem.has_bias = has_bias_;
    problem.bias_of_fine = kind_ == ConvKind::transposed;
    if (kind_ == ConvKind::conv) {
      problem.geometry = forward_correlation(geometry_, xs.front().extent, grad_y.extent);
      problem.coarse = grad_y;
      problem.coarse_input = 0;
      problem.fine.assign(xs.begin(), xs.end());
      problem.first_fine = 1;
    } else {
      WM_CHECK(xs.size() == 1, "a transposed convolution has one input");
      problem.geometry = forward_correlation(geometry_, grad_y.extent, xs.front().extent);
      problem.coarse = xs.front();
      problem.coarse_input = 1;
      problem.fine = {grad_y};
      problem.first_fine = 0;
    }
    return choose_weight_gradient(problem, context.target);
  }

 private:
  bool has_bias_;
};

}  // namespace

std::shared_ptr<const Op> make_conv_op(ConvKind kind, const ConvGeometry& geometry) {
  return std::make_shared<ForwardOp>(kind, geometry);
}

std::shared_ptr<const Op> make_conv_data_gradient_op(ConvKind kind, const ConvGeometry& geometry,
                                                     std::vector<int64_t> channels,
                                                     const Extent3& extent) {
  return std::make_shared<DataGradientOp>(kind, geometry, std::move(channels), extent);
}

std::shared_ptr<const Op> make_conv_weight_gradient_op(ConvKind kind, const ConvGeometry& geometry,
                                                       bool has_bias) {
  return std::make_shared<WeightGradientOp>(kind, geometry, has_bias);
}

ValueId add_conv_node(GraphBuilder& builder, ConvKind kind, const ConvGeometry& geometry,
                      std::span<const ValueId> inputs, const std::string& name,
                      const ConvParameters& parameters) {
  const ValueId weights = builder.parameter(parameters.weights);
  ValueId bias = kNone;
  if (parameters.bias) {
    const int64_t c_out =
        kind == ConvKind::conv ? parameters.weights.desc.n : parameters.weights.desc.c;
    ParameterSpec spec;
    spec.name = name + ".bias";
    spec.desc = TensorDesc::plain(1, 1, {1, 1, c_out}, parameters.weights.desc.dtype);
    spec.role = ParameterRole::bias;
    spec.initializer = Initializer::zeros;
    spec.fan_in = parameters.weights.fan_in;
    spec.fan_out = parameters.weights.fan_out;
    bias = builder.parameter(spec);
  }
  std::vector<ValueId> node_inputs{weights, bias};
  node_inputs.insert(node_inputs.end(), inputs.begin(), inputs.end());
  return builder.add(make_conv_op(kind, geometry), std::move(node_inputs), name).front();
}

}  // namespace wholemount
