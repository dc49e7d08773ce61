#include <gtest/gtest.h>

#include <cmath>

#include "testing/gradient_check.h"
#include "testing/interpreter.h"
#include "testing/test_ops.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/norm/norm.h"
#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/plan/schedule.h"

// Norms behind convolutions that sum the moments of what they store.
namespace wholemount {
namespace {

NormSpec spec_of(NormKind kind, float slope, int64_t groups = 1) {
  NormSpec spec;
  spec.kind = kind;
  spec.slope = slope;
  spec.groups = groups;
  return spec;
}

int64_t count_nodes(const Graph& graph, const std::string& op) {
  int64_t count = 0;
  for (const Node& node : graph.nodes) count += node.op->name() == op ? 1 : 0;
  return count;
}

TEST(NormMoments, gradients_behind_convolutions_agree_with_central_differences) {
  GradientCheckOptions options;
  options.num_samples = 2;
  options.elements_per_parameter = 16;
  for (const NormSpec& spec : {spec_of(NormKind::instance, 0.1F), spec_of(NormKind::batch, 0.5F),
                               spec_of(NormKind::group, 1.0F, 2)}) {
    check_gradient(
        [&](GraphBuilder& builder) {
          std::vector<ValueId> ys;
          const Extent3 extents[]{{2, 3, 2}, {1, 3, 4}};
          for (int32_t sample = 0; sample < 2; ++sample) {
            builder.set_sample(sample);
            const ValueId x =
                differentiable_input(builder, "x" + std::to_string(sample),
                                     TensorDesc::plain(1, 5, extents[sample], DType::f64));
            ys.push_back(conv(builder, {6}, std::vector<ValueId>{x}, "conv"));
          }
          const auto z = norm_activation(builder, spec, ys, "norm");
          EXPECT_EQ(count_nodes(builder.graph(), "norm_statistics"), 0);
          EXPECT_EQ(count_nodes(builder.graph(), "norm_from_moments"),
                    spec.kind == NormKind::batch ? 1 : 2);
          return z;
        },
        options);
  }
}

/// Two samples of a convolution, and the statistics of a norm of them: from the moments that the
/// convolution sums, and from the volumes.
struct Composition {
  Graph graph;
  std::vector<ValueId> fused;
  std::vector<ValueId> apart;
};

Composition compose(const NormSpec& spec, int64_t channels) {
  GraphBuilder builder(make_apply(), 2);
  std::vector<ValueId> ys;
  const Extent3 extents[]{{5, 6, 33}, {3, 17, 6}};
  for (int32_t sample = 0; sample < 2; ++sample) {
    builder.set_sample(sample);
    const ValueId x =
        builder.input("x" + std::to_string(sample), TensorDesc::activation(1, 20, extents[sample]));
    ys.push_back(conv(builder, {channels}, std::vector<ValueId>{x}, "conv"));
  }
  Composition result;
  for (const ValueId z : norm_activation(builder, spec, ys, "norm")) {
    result.fused.push_back(builder.graph().value(z).transform.statistics);
  }
  ValueId gamma = kNone;
  ValueId beta = kNone;
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() != "norm_from_moments") continue;
    gamma = node.inputs[0];
    beta = node.inputs[1];
  }
  const auto op = make_norm_statistics_op(spec);
  if (spec.kind == NormKind::batch) {
    result.apart.assign(2, builder.add(op, {gamma, beta, ys[0], ys[1]}, "apart").front());
  } else {
    for (const ValueId y : ys) {
      result.apart.push_back(builder.add(op, {gamma, beta, y}, "apart").front());
    }
  }
  result.graph = builder.finish();
  return result;
}

// Both find each moment to 5e-6 of a deviation or of M2 (2 eps sqrt(512), see ops/conv and
// ops/norm); scale and shift depend on them linearly to first order.
TEST(NormMoments, statistics_from_moments_are_those_read_from_the_volumes) {
  Target direct;
  direct.convolution = Convolution::direct;
  for (const int64_t channels : {20, 24}) {
    for (const NormSpec& spec : {spec_of(NormKind::instance, 0.0F), spec_of(NormKind::batch, 0.0F),
                                 spec_of(NormKind::group, 0.0F, 4)}) {
      for (const Target& target : {Target{}, direct, Target{Isa::portable, true}}) {
        const Composition both = compose(spec, channels);
        Interpreter run(both.graph, target);
        uint64_t seed = 1;
        for (size_t id = 0; id < both.graph.values.size(); ++id) {
          const Value& value = both.graph.values[id];
          if (value.kind != ValueKind::input && value.kind != ValueKind::parameter) continue;
          run.set(static_cast<ValueId>(id), fill_values(value.desc, InputFill{}, ++seed));
        }
        run.run(Pass::forward);
        for (size_t sample = 0; sample < 2; ++sample) {
          const std::vector<double> fused = run.get(both.fused[sample]);
          const std::vector<double> apart = run.get(both.apart[sample]);
          const size_t lanes = fused.size() / StatisticsRow::kNumRows;
          for (size_t i = 0; i < fused.size(); ++i) {
            const double deviation = std::sqrt(apart[StatisticsRow::variance * lanes + i % lanes]);
            const double size =
                i / lanes == StatisticsRow::mean ? deviation : std::max(std::abs(apart[i]), 1.0);
            EXPECT_NEAR(fused[i], apart[i], 1e-5 * size) << "row " << i / lanes;
          }
        }
      }
    }
  }
}

TEST(NormMoments, of_what_is_read_through_a_transform_are_not_asked_for) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 16, {4, 4, 4}));
  const ValueId y = conv(builder, {16}, std::vector<ValueId>{x}, "conv");
  const NormSpec spec = spec_of(NormKind::instance, 0.0F);
  const auto once = norm_activation(builder, spec, {&y, 1}, "first");
  norm_activation(builder, spec, once, "second");
  EXPECT_EQ(count_nodes(builder.graph(), "norm_from_moments"), 1);
  EXPECT_EQ(count_nodes(builder.graph(), "norm_statistics"), 1);
}

TEST(NormMoments, are_left_out_where_the_convolution_runs_again_for_its_result) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 16, {4, 6, 8}));
  const ValueId y = conv(builder, {16}, std::vector<ValueId>{x}, "conv");
  const auto z = norm_activation(builder, spec_of(NormKind::instance, 0.0F), {&y, 1}, "norm");
  const ValueId last = conv(builder, {16}, std::vector<ValueId>{z[0]}, "last");
  differentiate(builder, {builder.add(make_projection(1), {last}, "loss").front()}, make_add());
  const Tape tape = make_tape(std::make_shared<const Graph>(builder.finish()), Target{}, 1,
                              default_time_model(1));
  const int32_t reader = tape.readers[static_cast<size_t>(y)].back();
  Policies policies;
  policies.uses[{y, reader, reader}] = Access::recompute;
  int64_t own = 0;
  int64_t again = 0;
  for (const ScheduledStep& step : make_schedule(tape, policies).steps) {
    if (step.tape_step != tape.producer[static_cast<size_t>(y)]) continue;
    ASSERT_EQ(step.outputs.size(), 2U);
    EXPECT_NE(step.outputs[0].version, kNone);
    EXPECT_EQ(step.outputs[1].version == kNone, step.repeated());
    (step.repeated() ? again : own) += 1;
  }
  EXPECT_EQ(own, 1);
  EXPECT_EQ(again, 1);
}

TEST(NormMoments, asked_for_twice_are_summed_once) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 16, {4, 4, 4}));
  const ValueId y = conv(builder, {16}, std::vector<ValueId>{x}, "conv");
  ASSERT_TRUE(builder.has_moments(y));
  const ValueId moments = builder.moments(y);
  EXPECT_TRUE(builder.has_moments(y));
  EXPECT_EQ(builder.moments(y), moments);
  EXPECT_EQ(builder.graph().nodes.front().outputs.size(), 2U);
}

}  // namespace
}  // namespace wholemount
