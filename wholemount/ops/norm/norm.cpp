#include "wholemount/ops/norm/norm.h"

#include "wholemount/ops/norm/norm_ops.h"

namespace wholemount {

namespace {

// Restores the builder's sample, also when a shape error is thrown.
class SampleScope {
 public:
  explicit SampleScope(GraphBuilder& builder) : builder_(builder), before_(builder.sample()) {}
  SampleScope(const SampleScope&) = delete;
  SampleScope& operator=(const SampleScope&) = delete;
  ~SampleScope() { builder_.set_sample(before_); }

 private:
  GraphBuilder& builder_;
  int32_t before_;
};

ValueId channel_parameter(GraphBuilder& builder, const std::string& name, const TensorDesc& x,
                          ParameterRole role, Initializer initializer) {
  ParameterSpec spec;
  spec.name = name;
  spec.desc = TensorDesc::plain(1, 1, {1, 1, x.c}, x.dtype);
  spec.role = role;
  spec.initializer = initializer;
  spec.fan_in = x.c;
  spec.fan_out = x.c;
  return builder.parameter(spec);
}

}  // namespace

std::vector<ValueId> norm_activation(GraphBuilder& builder, const NormSpec& spec,
                                     std::span<const ValueId> xs, const std::string& name) {
  if (xs.empty()) {
    throw ShapeError(name + ": a norm of no values; give one per sample");
  }
  if (spec.moving && spec.kind != NormKind::batch) {
    throw ConfigError(name + ": only batch norm has moving statistics; set moving = false");
  }
  const SampleScope restore(builder);
  const TensorDesc x_desc = builder.desc(xs.front());
  const ValueId gamma = channel_parameter(builder, name + ".weight", x_desc,
                                          ParameterRole::norm_scale, Initializer::ones);
  const ValueId beta = channel_parameter(builder, name + ".bias", x_desc, ParameterRole::norm_shift,
                                         Initializer::zeros);
  const bool is_batch = spec.kind == NormKind::batch;
  ValueId running_mean = kNone;
  ValueId running_var = kNone;
  if (is_batch) {
    running_mean = channel_parameter(builder, name + ".running_mean", x_desc,
                                     ParameterRole::moving_statistic, Initializer::zeros);
    running_var = channel_parameter(builder, name + ".running_var", x_desc,
                                    ParameterRole::moving_statistic, Initializer::ones);
  }

  const auto num_samples = static_cast<int32_t>(xs.size());
  if (num_samples != builder.graph().num_samples) {
    throw ShapeError(name + ": " + std::to_string(xs.size()) + " values for a graph of " +
                     std::to_string(builder.graph().num_samples) + " samples; give one per sample");
  }
  const auto op = make_norm_statistics_op(spec);
  std::vector<ValueId> stored(xs.begin(), xs.end());
  std::vector<ValueId> statistics(xs.size(), kNone);
  builder.next_layer();
  if (spec.moving) {
    builder.set_sample(kNone);
    const ValueId shared = builder
                               .add(make_norm_from_moving_op(spec.epsilon),
                                    {gamma, beta, running_mean, running_var}, name + ".statistics")
                               .front();
    statistics.assign(xs.size(), shared);
  } else if (is_batch) {
    builder.set_sample(kNone);
    std::vector<ValueId> inputs{gamma, beta};
    inputs.insert(inputs.end(), xs.begin(), xs.end());
    const std::vector<ValueId> outputs = builder.add(op, inputs, name + ".statistics");
    builder.bind_parameter_gradient(outputs[1], running_mean);
    builder.bind_parameter_gradient(outputs[2], running_var);
    statistics.assign(xs.size(), outputs[0]);
    // What was read through a transform has been written out by add().
    const std::vector<ValueId>& added = builder.graph().nodes.back().inputs;
    stored.assign(added.begin() + 2, added.end());
  } else {
    for (int32_t sample = 0; sample < num_samples; ++sample) {
      const auto i = static_cast<size_t>(sample);
      builder.set_sample(sample);
      statistics[i] = builder.add(op, {gamma, beta, xs[i]}, name + ".statistics").front();
      stored[i] = builder.graph().nodes.back().inputs[2];
    }
  }

  std::vector<ValueId> results;
  for (int32_t sample = 0; sample < num_samples; ++sample) {
    const auto i = static_cast<size_t>(sample);
    builder.set_sample(sample);
    const ValueId z =
        builder.add(make_normalise_op(spec.slope), {stored[i], statistics[i]}, name).front();
    const ValueId source = builder.graph().nodes.back().inputs[0];
    builder.alias(z, source, {statistics[i], spec.slope});
    results.push_back(z);
  }
  return results;
}

}  // namespace wholemount
