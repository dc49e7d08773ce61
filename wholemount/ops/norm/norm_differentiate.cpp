#include "wholemount/ops/norm/norm_differentiate.h"

#include "wholemount/ops/norm/norm_ops.h"

namespace wholemount {

namespace {

// One sample of a norm: what it reads, and the gradient of what it is read as.
struct NormSample {
  ValueId x = kNone;
  ValueId grad_z = kNone;
  float slope = 1.0F;
  int32_t sample = kNone;
};

NormSample find_reader(ValueId x, ValueId statistics, Differentiation& scope) {
  const Graph& graph = scope.builder().graph();
  NormSample found;
  for (const NodeId id : scope.readers(x)) {
    const Node& node = graph.nodes[static_cast<size_t>(id)];
    const float* slope = normalise_slope(*node.op);
    if (slope == nullptr || node.inputs[1] != statistics) {
      continue;
    }
    WM_CHECK(found.x == kNone, "a value is read through its statistics by one normalise node");
    found = {x, scope.gradient(node.outputs[0]), *slope, node.sample};
  }
  WM_CHECK(found.x != kNone, "a normalise node reads each value behind statistics");
  return found;
}

}  // namespace

void differentiate_norm(const Node& node, const std::vector<ValueId>& volumes,
                        int64_t channels_per_mean, Differentiation& scope) {
  GraphBuilder& builder = scope.builder();
  const ValueId gamma = node.inputs[0];
  const ValueId beta = node.inputs[1];
  const ValueId statistics = node.outputs[0];
  std::vector<NormSample> samples;
  int64_t num_values = 0;
  bool any_gradient = false;
  for (const ValueId x : volumes) {
    samples.push_back(find_reader(x, statistics, scope));
    num_values = checked_add(num_values, volume(builder.desc(x).extent));
    any_gradient = any_gradient || samples.back().grad_z != kNone;
  }
  if (!any_gradient) {
    return;
  }

  std::vector<ValueId> fold_inputs{gamma, statistics};
  for (const NormSample& sample : samples) {
    if (sample.grad_z == kNone) {
      continue;
    }
    builder.set_sample(sample.sample);
    fold_inputs.push_back(builder
                              .add(make_norm_backward_sums_op(sample.slope),
                                   {sample.x, sample.grad_z, statistics}, node.name + ".grad_sums")
                              .front());
  }
  builder.set_sample(node.sample);
  const std::vector<ValueId> folded =
      builder.add(make_norm_backward_fold_op(checked_multiply(num_values, channels_per_mean),
                                             channels_per_mean),
                  fold_inputs, node.name + ".grad_fold");
  builder.bind_parameter_gradient(folded[1], gamma);
  builder.bind_parameter_gradient(folded[2], beta);

  for (const NormSample& sample : samples) {
    if (!scope.wanted(sample.x)) {
      continue;
    }
    builder.set_sample(sample.sample);
    const ValueId grad_x =
        builder
            .add(make_norm_backward_apply_op(sample.slope),
                 {sample.x, sample.grad_z, statistics, folded[0]}, node.name + ".grad_apply")
            .front();
    scope.contribute(sample.x, grad_x);
  }
  builder.set_sample(node.sample);
}

}  // namespace wholemount
