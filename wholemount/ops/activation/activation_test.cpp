#include "wholemount/ops/activation/activation.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/op_contract.h"
#include "wholemount/base/error.h"

namespace wholemount {
namespace {

std::vector<TensorDesc> shapes() {
  return {TensorDesc::activation(1, 1, {1, 1, 1}),   TensorDesc::activation(2, 3, {3, 5, 7}),
          TensorDesc::activation(1, 16, {2, 3, 4}),  TensorDesc::activation(2, 21, {3, 4, 5}),
          TensorDesc::activation(1, 40, {1, 6, 5}),  TensorDesc::activation(1, 4, {1, 33, 19}),
          TensorDesc::activation(1, 5, {3, 40, 120})};
}

TEST(Apply, keeps_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    for (const InputFill& fill : {InputFill{}, InputFill::through(0.0F), InputFill::through(0.01F),
                                  InputFill::through(1.0F), InputFill::activated(0.25F)}) {
      OpCase op_case;
      op_case.op = make_apply();
      op_case.inputs = {desc};
      op_case.fills = {fill};
      // One multiply-add and one product: two terms.
      op_case.tolerance_terms = 2;
      check_op(op_case);
    }
  }
}

/// The backward operator as activation() emits it.
std::shared_ptr<const Op> backward_op(float slope) {
  std::shared_ptr<const Op> result;
  GraphBuilder builder(make_apply());
  const TensorDesc desc = TensorDesc::plain(1, 1, {1, 1, 2}, DType::f64);
  const ValueId x = differentiable_input(builder, "x", desc);
  const ValueId y = activation(builder, slope, x, "relu");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_apply());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == "activation_backward") result = node.op;
  }
  return result;
}

TEST(Activation, backward_keeps_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    for (const float slope : {0.0F, 0.01F, 1.0F}) {
      OpCase op_case;
      op_case.op = backward_op(slope);
      op_case.inputs = {desc, desc};
      check_op(op_case);
    }
  }
}

TEST(Activation, gradient_agrees_with_central_differences) {
  for (const float slope : {0.0F, 0.01F, 0.5F}) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(2, 3, {2, 3, 4}, DType::f64));
      return std::vector<ValueId>{activation(builder, slope, x, "relu")};
    });
  }
}

TEST(Activation, costs_no_memory_and_runs_no_kernel) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 32, {4, 4, 4}));
  const ValueId y = activation(builder, 0.25F, x, "relu");
  EXPECT_EQ(builder.graph().storage(y), x);
  EXPECT_EQ(builder.graph().value(y).transform.slope, 0.25F);
  EXPECT_EQ(builder.graph().nodes.size(), 1U);
}

TEST(Activation, of_a_read_through_value_writes_that_value_out_first) {
  check_gradient([&](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(1, 2, {2, 2, 3}, DType::f64));
    const ValueId once = activation(builder, 0.5F, x, "first");
    const ValueId twice = activation(builder, 0.25F, once, "second");
    EXPECT_NE(builder.graph().storage(twice), x);
    return std::vector<ValueId>{twice};
  });
}

TEST(Activation, refuses_a_negative_slope) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 1, {1, 1, 1}));
  EXPECT_THROW(activation(builder, -0.1F, x, "relu"), ConfigError);
}

}  // namespace
}  // namespace wholemount
