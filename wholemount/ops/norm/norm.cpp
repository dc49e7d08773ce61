#include "wholemount/ops/norm/norm.h"

#include <algorithm>
#include <utility>

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

struct Statistics {
  std::vector<ValueId> outputs;
  std::vector<ValueId> stored;  // the volumes: what was read through a transform, written out
};

// The statistics node of `xs`: from the moments that the nodes which compute them can sum on the
// way, otherwise by reading them.
Statistics add_statistics(GraphBuilder& builder, const NormSpec& spec, std::vector<ValueId> inputs,
                          std::span<const ValueId> xs, const std::string& name) {
  const size_t first = inputs.size();
  const std::string node_name = name + ".statistics";
  if (std::all_of(xs.begin(), xs.end(), [&](ValueId x) { return builder.has_moments(x); })) {
    std::vector<int64_t> num_values;
    for (const ValueId x : xs) {
      num_values.push_back(volume(builder.desc(x).extent));
      inputs.push_back(builder.moments(x));
    }
    return {builder.add(make_norm_from_moments_op(spec, std::move(num_values)), inputs, node_name),
            {xs.begin(), xs.end()}};
  }
  inputs.insert(inputs.end(), xs.begin(), xs.end());
  std::vector<ValueId> outputs = builder.add(make_norm_statistics_op(spec), inputs, node_name);
  const std::vector<ValueId>& added = builder.graph().nodes.back().inputs;
  return {std::move(outputs), {added.begin() + static_cast<std::ptrdiff_t>(first), added.end()}};
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
    const Statistics all = add_statistics(builder, spec, {gamma, beta}, xs, name);
    builder.bind_parameter_gradient(all.outputs[1], running_mean);
    builder.bind_parameter_gradient(all.outputs[2], running_var);
    statistics.assign(xs.size(), all.outputs[0]);
    stored = all.stored;
  } else {
    for (int32_t sample = 0; sample < num_samples; ++sample) {
      const auto i = static_cast<size_t>(sample);
      builder.set_sample(sample);
      const Statistics one = add_statistics(builder, spec, {gamma, beta}, xs.subspan(i, 1), name);
      statistics[i] = one.outputs[0];
      stored[i] = one.stored[0];
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
