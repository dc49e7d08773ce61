#include "wholemount/ops/pool/average_pool.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
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

/// The operators as average_pool() and differentiate() emit them for an input of this extent.
Ops ops(const PoolSpec& spec, const Extent3& extent) {
  Ops result;
  GraphBuilder builder(make_apply());
  const ValueId x = differentiable_input(builder, "x", TensorDesc::plain(1, 1, extent, DType::f64));
  const ValueId y = average_pool(builder, spec, x, "pool");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == "average_pool") result.forward = node.op;
    if (node.op->name() == "average_pool_backward") result.backward = node.op;
  }
  return result;
}

const std::vector<PoolSpec> kSpecs = {
    {},
    {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}},  // overlapping, padded
    {{2, 1, 3}, {1, 1, 1}, {1, 0, 1}},
    {{1, 1, 2}, {3, 2, 5}, {0, 0, 1}},  // gaps between windows
    {{5, 6, 7}, {1, 1, 1}, {0, 0, 0}},  // the whole extent: global average
};

TEST(AveragePool, keeps_the_operator_contract_both_ways) {
  const Extent3 extent{5, 6, 7};
  for (const PoolSpec& spec : kSpecs) {
    const Ops both = ops(spec, extent);
    for (const int64_t channels : {3, 16, 21}) {
      const TensorDesc x = TensorDesc::activation(2, channels, extent);
      OpCase op_case;
      op_case.op = both.forward;
      op_case.inputs = {x};
      op_case.fills = {InputFill::through(0.01F)};
      op_case.tolerance_terms = static_cast<double>(volume(spec.kernel)) + 2.0;
      check_op(op_case);
      op_case.op = both.backward;
      op_case.fills.clear();
      op_case.inputs = {both.forward->infer(std::vector{x})[0], x};
      check_op(op_case);
      op_case.inputs[1].n = 0;
      check_op(op_case);
    }
  }
}

TEST(AveragePool, of_rows_keeps_the_operator_contract_over_many_tasks) {
  const PoolSpec spec{{1, 2, 2}, {1, 2, 2}, {0, 0, 0}};
  const TensorDesc x = TensorDesc::activation(1, 5, {1, 130, 128});
  OpCase op_case;
  op_case.op = ops(spec, x.extent).forward;
  op_case.inputs = {x};
  op_case.tolerance_terms = 5;
  check_op(op_case);
  op_case.op = ops(spec, x.extent).backward;
  op_case.inputs = {TensorDesc::activation(1, 5, {1, 65, 64}), x};
  check_op(op_case);
}

TEST(AveragePool, gradient_agrees_with_central_differences) {
  for (const PoolSpec& spec : kSpecs) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(1, 2, {5, 6, 7}, DType::f64));
      const ValueId z = activation(builder, 0.1F, x, "relu");
      return std::vector<ValueId>{average_pool(builder, spec, z, "pool"),
                                  add(builder, z, z, "skip")};
    });
  }
}

TEST(AveragePool, refuses_an_input_smaller_than_a_window) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 1, {1, 8, 8}));
  EXPECT_THROW(average_pool(builder, {}, x, "pool"), ShapeError);
}

}  // namespace
}  // namespace wholemount
