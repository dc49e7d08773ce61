#include "wholemount/ops/resize/upsample.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/interpreter.h"
#include "testing/op_contract.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"

namespace wholemount {
namespace {

struct Ops {
  std::shared_ptr<const Op> forward;
  std::shared_ptr<const Op> backward;
};

/// The operators as upsample() and differentiate() emit them.
Ops ops(const UpsampleSpec& spec) {
  Ops result;
  GraphBuilder builder(make_apply());
  const ValueId x =
      differentiable_input(builder, "x", TensorDesc::plain(1, 1, {1, 1, 1}, DType::f64));
  const ValueId y = upsample(builder, spec, x, "up");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == "upsample") result.forward = node.op;
    if (node.op->name() == "upsample_backward") result.backward = node.op;
  }
  return result;
}

std::vector<UpsampleSpec> specs() {
  std::vector<UpsampleSpec> result;
  for (const UpsampleMode mode : {UpsampleMode::nearest, UpsampleMode::linear}) {
    for (const Extent3& factor : {Extent3{2, 2, 2}, Extent3{1, 2, 2}, Extent3{3, 1, 4},
                                  Extent3{1, 1, 1}, Extent3{1, 3, 5}}) {
      result.push_back({factor, mode});
    }
  }
  return result;
}

std::vector<TensorDesc> shapes() {
  return {TensorDesc::activation(1, 1, {1, 1, 1}), TensorDesc::activation(2, 3, {3, 4, 19}),
          TensorDesc::activation(2, 21, {2, 3, 5}), TensorDesc::activation(1, 16, {1, 6, 2})};
}

TEST(Upsample, keeps_the_operator_contract) {
  for (const UpsampleSpec& spec : specs()) {
    for (const TensorDesc& desc : shapes()) {
      for (const InputFill& fill : {InputFill{}, InputFill::through(0.01F)}) {
        OpCase op_case;
        op_case.op = ops(spec).forward;
        op_case.inputs = {desc};
        op_case.fills = {fill};
        op_case.tolerance_terms = 10;  // eight products, and the two of the LoadTransform
        check_op(op_case);
      }
    }
  }
}

TEST(Upsample, backward_keeps_the_operator_contract) {
  for (const UpsampleSpec& spec : specs()) {
    const Ops both = ops(spec);
    for (const TensorDesc& desc : shapes()) {
      OpCase op_case;
      op_case.op = both.backward;
      op_case.inputs = {both.forward->infer(std::vector<TensorDesc>{desc})[0]};
      // Up to twice the factor of outputs on each axis read one voxel.
      op_case.tolerance_terms = static_cast<double>(8 * volume(spec.factor));
      check_op(op_case);
    }
  }
}

TEST(Upsample, keeps_the_operator_contract_over_many_tasks) {
  const Ops both = ops({});
  OpCase op_case;
  op_case.op = both.forward;
  op_case.inputs = {TensorDesc::activation(1, 5, {4, 20, 64})};
  op_case.fills = {InputFill::through(0.01F)};
  op_case.tolerance_terms = 10;
  check_op(op_case);
  op_case.op = both.backward;
  op_case.inputs = {TensorDesc::activation(1, 5, {12, 80, 128})};
  op_case.fills.clear();
  op_case.tolerance_terms = 64;
  check_op(op_case);
}

std::vector<double> upsampled(const UpsampleSpec& spec, const TensorDesc& desc,
                              const std::vector<double>& values) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", desc);
  const ValueId y = upsample(builder, spec, x, "up");
  const Graph graph = builder.finish();
  Interpreter run(graph);
  run.set(x, values);
  run.run();
  return run.get(y);
}

TEST(Upsample, linear_interpolates_between_voxel_centres_and_holds_the_edges) {
  EXPECT_EQ(
      upsampled({{1, 1, 2}, UpsampleMode::linear}, TensorDesc::plain(1, 1, {1, 1, 3}), {0, 4, 8}),
      (std::vector<double>{0, 1, 3, 5, 7, 8}));
  EXPECT_EQ(
      upsampled({{1, 4, 1}, UpsampleMode::linear}, TensorDesc::plain(1, 1, {1, 2, 1}), {0, 8}),
      (std::vector<double>{0, 0, 1, 3, 5, 7, 8, 8}));
}

TEST(Upsample, nearest_repeats_voxels) {
  EXPECT_EQ(
      upsampled({{1, 1, 3}, UpsampleMode::nearest}, TensorDesc::plain(1, 1, {1, 1, 2}), {5, 7}),
      (std::vector<double>{5, 5, 5, 7, 7, 7}));
}

TEST(Upsample, gradient_agrees_with_central_differences) {
  for (const UpsampleSpec& spec : specs()) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(1, 2, {2, 3, 2}, DType::f64));
      return std::vector<ValueId>{
          upsample(builder, spec, activation(builder, 0.1F, x, "relu"), "up")};
    });
  }
}

TEST(Upsample, refuses_factors_out_of_range) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 1, {1, 1, 1}));
  EXPECT_THROW(upsample(builder, {{0, 1, 1}, UpsampleMode::linear}, x, "up"), ConfigError);
  EXPECT_THROW(upsample(builder, {{1, 1, 2000}, UpsampleMode::linear}, x, "up"), ConfigError);
}

}  // namespace
}  // namespace wholemount
