#include "wholemount/ops/norm/norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/gradient_check.h"
#include "testing/interpreter.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/norm/norm_ops.h"

namespace wholemount {
namespace {

NormSpec spec_of(NormKind kind, float slope, int64_t groups = 1) {
  NormSpec spec;
  spec.kind = kind;
  spec.slope = slope;
  spec.groups = groups;
  return spec;
}

std::vector<ValueId> inputs_of(GraphBuilder& builder, const std::vector<TensorDesc>& descs) {
  std::vector<ValueId> xs;
  for (size_t i = 0; i < descs.size(); ++i) {
    xs.push_back(differentiable_input(builder, "x" + std::to_string(i), descs[i]));
  }
  return xs;
}

size_t count_nodes(const Graph& graph, const std::string& op) {
  size_t count = 0;
  for (const Node& node : graph.nodes) {
    count += node.op->name() == op ? 1U : 0U;
  }
  return count;
}

const std::vector<TensorDesc> kTwoSamples{TensorDesc::plain(1, 6, {2, 3, 4}, DType::f64),
                                          TensorDesc::plain(1, 6, {3, 2, 2}, DType::f64)};

GradientCheckOptions two_samples() {
  GradientCheckOptions options;
  options.num_samples = 2;
  options.elements_per_parameter = 24;
  return options;
}

TEST(Norm, gradients_agree_with_central_differences) {
  for (const NormSpec& spec :
       {spec_of(NormKind::batch, 0.0F), spec_of(NormKind::batch, 1.0F),
        spec_of(NormKind::instance, 0.01F), spec_of(NormKind::group, 0.0F, 2),
        spec_of(NormKind::group, 0.5F, 3), spec_of(NormKind::group, 1.0F, 1)}) {
    check_gradient(
        [&](GraphBuilder& builder) {
          return norm_activation(builder, spec, inputs_of(builder, kTwoSamples), "norm");
        },
        two_samples());
  }
}

TEST(Norm, sample_nobody_reads_still_gets_its_share_of_the_batch_gradient) {
  check_gradient(
      [&](GraphBuilder& builder) {
        const NormSpec spec = spec_of(NormKind::batch, 0.0F);
        const auto z = norm_activation(builder, spec, inputs_of(builder, kTwoSamples), "norm");
        return std::vector<ValueId>{z[1]};
      },
      two_samples());
}

TEST(Norm, of_a_read_through_value_writes_that_value_out_first) {
  check_gradient([&](GraphBuilder& builder) {
    const auto xs = inputs_of(builder, {kTwoSamples[0]});
    const auto once = norm_activation(builder, spec_of(NormKind::instance, 0.2F), xs, "first");
    const auto twice = norm_activation(builder, spec_of(NormKind::batch, 0.0F), once, "second");
    EXPECT_EQ(count_nodes(builder.graph(), "apply"), 1U);
    return twice;
  });
}

TEST(Norm, stores_nothing_but_statistics) {
  GraphBuilder builder(make_apply(), 2);
  const TensorDesc desc = TensorDesc::activation(1, 32, {4, 4, 4});
  const std::vector<ValueId> xs{builder.input("a", desc), builder.input("b", desc)};
  const auto z = norm_activation(builder, spec_of(NormKind::instance, 0.01F), xs, "norm");
  const Graph& graph = builder.graph();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(graph.storage(z[i]), xs[i]);
    EXPECT_EQ(graph.value(z[i]).transform.slope, 0.01F);
  }
  size_t bytes = 0;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::intermediate && value.stored_as == kNone) {
      bytes += value.desc.bytes();
    }
  }
  EXPECT_EQ(bytes, 2 * statistics_desc(32).bytes());
}

TEST(Norm, batch_joins_its_samples_in_one_node_and_other_kinds_keep_them_apart) {
  for (const NormKind kind : {NormKind::batch, NormKind::instance}) {
    GraphBuilder builder(make_apply(), 2);
    builder.set_sample(1);
    const auto xs = inputs_of(builder, kTwoSamples);
    const auto z = norm_activation(builder, spec_of(kind, 0.0F), xs, "norm");
    EXPECT_EQ(builder.sample(), 1);
    differentiate(
        builder,
        {random_projection(builder, z[0], 1, "p0"), random_projection(builder, z[1], 2, "p1")},
        make_add());
    const bool is_batch = kind == NormKind::batch;
    EXPECT_EQ(count_nodes(builder.graph(), "norm_statistics"), is_batch ? 1U : 2U);
    EXPECT_EQ(count_nodes(builder.graph(), "norm_backward_fold"), is_batch ? 1U : 2U);
    for (const Node& node : builder.graph().nodes) {
      if (node.op->name() == "norm_statistics" || node.op->name() == "norm_backward_fold") {
        EXPECT_EQ(node.sample == kNone, is_batch) << node.name;
      }
      if (node.op->name() == "norm_backward_apply" || node.op->name() == "norm_backward_sums") {
        EXPECT_EQ(node.inputs[0], xs[static_cast<size_t>(node.sample)]) << node.name;
      }
    }
  }
}

TEST(Norm, batch_reports_the_observed_mean_and_unbiased_variance) {
  GraphBuilder builder(make_apply(), 2);
  const TensorDesc desc = TensorDesc::plain(1, 1, {1, 1, 2}, DType::f64);
  const std::vector<ValueId> xs{builder.input("a", desc), builder.input("b", desc)};
  norm_activation(builder, spec_of(NormKind::batch, 0.0F), xs, "norm");
  const Graph graph = builder.finish();
  Interpreter run(graph);
  run.set(run.find("norm.weight"), {1});
  run.set(run.find("norm.bias"), {0});
  run.set(xs[0], {1, 2});
  run.set(xs[1], {3, 6});
  run.run(Pass::forward);
  for (size_t p = 0; p < graph.parameters.size(); ++p) {
    const auto gradient = run.parameter_gradient(static_cast<int32_t>(p));
    if (graph.parameters[p].name == "norm.running_mean") {
      EXPECT_EQ(gradient, std::vector<double>{3});
    } else if (graph.parameters[p].name == "norm.running_var") {
      EXPECT_NEAR(gradient[0], (4.0 + 1.0 + 0.0 + 9.0) / 3.0, 1e-14);
    } else {
      EXPECT_TRUE(gradient.empty());
    }
  }
}

// Mean 0 and variance 1 of what is read, and the gradient of a bias before the norm.
TEST(Norm, normalises_and_gives_a_bias_before_it_no_gradient) {
  for (const TensorDesc& desc :
       {TensorDesc::activation(1, 21, {9, 20, 31}), TensorDesc::activation(1, 3, {9, 20, 31})}) {
    GraphBuilder builder(make_apply());
    const ValueId x = differentiable_input(builder, "x", desc);
    const auto z = norm_activation(builder, spec_of(NormKind::instance, 1.0F), {&x, 1}, "norm");
    const ValueId y = builder.add(make_apply(), {z[0]}, "y").front();
    differentiate(builder, {random_projection(builder, y, 3, "loss")}, make_add());
    const Graph graph = builder.finish();
    Interpreter run(graph);
    const auto voxels = static_cast<size_t>(volume(desc.extent));
    run.set(run.find("norm.weight"), std::vector<double>(static_cast<size_t>(desc.c), 1.0));
    run.set(run.find("norm.bias"), std::vector<double>(static_cast<size_t>(desc.c), 0.0));
    run.set(run.find("x"), fill_values(desc, InputFill::uniform(3.0, 5.0), 11));
    run.run();
    const std::vector<double> values = run.get(y);
    const std::vector<double> gradient =
        run.parameter_gradient(graph.value(run.find("x")).parameter);
    for (size_t c = 0; c < static_cast<size_t>(desc.c); ++c) {
      double sum = 0.0;
      double squares = 0.0;
      double grad_sum = 0.0;
      double grad_size = 0.0;
      for (size_t i = c * voxels; i < (c + 1) * voxels; ++i) {
        sum += values[i];
        squares += values[i] * values[i];
        grad_sum += gradient[i];
        grad_size += std::abs(gradient[i]);
      }
      // The mean is about 7 standard deviations, so f32 scale and shift leave 7 eps = 1e-6.
      EXPECT_NEAR(sum / static_cast<double>(voxels), 0.0, 2e-6);
      // epsilon = 1e-5 against a variance of 1/3.
      EXPECT_NEAR(squares / static_cast<double>(voxels), 1.0, 5e-5);
      EXPECT_LE(std::abs(grad_sum), 1e-6 * grad_size);
    }
  }
}

TEST(Norm, moving_statistics_replace_those_of_the_data) {
  GraphBuilder builder(make_apply(), 2);
  const TensorDesc desc = TensorDesc::plain(1, 1, {1, 1, 2}, DType::f64);
  const std::vector<ValueId> xs{builder.input("a", desc), builder.input("b", desc)};
  NormSpec spec = spec_of(NormKind::batch, 0.5F);
  spec.moving = true;
  spec.epsilon = 0.25F;
  const auto z = norm_activation(builder, spec, xs, "norm");
  const ValueId y = builder.add(make_apply(), {z[1]}, "y").front();
  const Graph graph = builder.finish();
  Interpreter run(graph);
  run.set(run.find("norm.weight"), {3});
  run.set(run.find("norm.bias"), {1});
  run.set(run.find("norm.running_mean"), {10});
  run.set(run.find("norm.running_var"), {2});
  run.set(xs[0], {0, 0});
  run.set(xs[1], {13, 4});
  run.run(Pass::forward);
  EXPECT_NEAR(run.get(y)[0], 3.0 * 3.0 / 1.5 + 1.0, 1e-14);
  EXPECT_NEAR(run.get(y)[1], 0.5 * (3.0 * -6.0 / 1.5 + 1.0), 1e-14);
}

TEST(Norm, moving_statistics_cannot_be_differentiated) {
  GraphBuilder builder(make_apply());
  NormSpec spec = spec_of(NormKind::batch, 0.0F);
  spec.moving = true;
  const auto z = norm_activation(builder, spec, inputs_of(builder, {kTwoSamples[0]}), "norm");
  const ValueId loss = random_projection(builder, z[0], 1, "loss");
  EXPECT_THROW(differentiate(builder, {loss}, make_add()), ShapeError);
}

TEST(Norm, refuses_what_it_cannot_normalise) {
  const auto build = [](const NormSpec& spec, const std::vector<TensorDesc>& descs) {
    GraphBuilder builder(make_apply(), 2);
    std::vector<ValueId> xs;
    for (const TensorDesc& desc : descs) {
      xs.push_back(builder.input("x", desc));
    }
    norm_activation(builder, spec, xs, "norm");
  };
  const TensorDesc six = TensorDesc::activation(1, 6, {2, 2, 2});
  const TensorDesc seven = TensorDesc::activation(1, 7, {2, 2, 2});
  const TensorDesc pair = TensorDesc::activation(2, 6, {2, 2, 2});
  EXPECT_NO_THROW(build(spec_of(NormKind::group, 0.0F, 3), {six, six}));
  EXPECT_THROW(build(spec_of(NormKind::group, 0.0F, 4), {six, six}), ShapeError);
  EXPECT_THROW(build(spec_of(NormKind::batch, 0.0F), {six, seven}), ShapeError);
  EXPECT_THROW(build(spec_of(NormKind::batch, 0.0F), {pair, pair}), ShapeError);
  EXPECT_THROW(build(spec_of(NormKind::batch, 0.0F), {six}), ShapeError);
  NormSpec no_epsilon = spec_of(NormKind::instance, 0.0F);
  no_epsilon.epsilon = 0.0F;
  EXPECT_THROW(build(no_epsilon, {six, six}), ShapeError);
  NormSpec moving = spec_of(NormKind::instance, 0.0F);
  moving.moving = true;
  EXPECT_THROW(build(moving, {six, six}), ConfigError);
}

}  // namespace
}  // namespace wholemount
