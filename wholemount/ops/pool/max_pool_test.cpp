#include "wholemount/ops/pool/max_pool.h"

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

/// The operators as max_pool() and differentiate() emit them.
Ops ops(const PoolSpec& spec) {
  Ops result;
  GraphBuilder builder(make_apply());
  const ValueId x =
      differentiable_input(builder, "x", TensorDesc::plain(1, 1, spec.kernel, DType::f64));
  const ValueId y = max_pool(builder, spec, x, "pool");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == "max_pool") result.forward = node.op;
    if (node.op->name() == "max_pool_backward") result.backward = node.op;
  }
  return result;
}

const std::vector<PoolSpec> kSpecs = {
    {},                                 // 2, stride 2
    {{1, 2, 2}, {1, 2, 2}, {0, 0, 0}},  // 2-D
    {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}},  // overlapping, padded
    {{2, 3, 3}, {1, 1, 1}, {1, 0, 1}},  // stride 1
    {{1, 1, 2}, {3, 2, 5}, {0, 0, 1}},  // gaps between windows
    {{3, 2, 5}, {3, 2, 2}, {0, 1, 2}},
    {{1, 4, 5}, {1, 4, 6}, {0, 0, 2}},  // large windows, apart
    {{2, 3, 6}, {1, 2, 6}, {0, 1, 3}},  // apart along w only
    {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}},  // overlapping 2-D
    {{3, 3, 3}, {2, 3, 2}, {0, 0, 0}},  // overlapping, voxels behind the last window
    {{4, 2, 3}, {1, 1, 2}, {2, 1, 1}},  // many rows of windows share a row of voxels
    {{3, 4, 3}, {2, 2, 2}, {1, 2, 0}},  // overlapping, more rows than are found by planes
};

std::vector<TensorDesc> shapes(const PoolSpec& spec) {
  std::vector<TensorDesc> result = {
      TensorDesc::activation(2, 3, {5, 6, 41}), TensorDesc::activation(1, 16, {4, 5, 6}),
      TensorDesc::activation(2, 21, {7, 4, 5}), TensorDesc::activation(1, 1, spec.kernel)};
  if (spec.kernel.d - 2 * spec.padding.d <= 1) {
    result.push_back(TensorDesc::activation(1, 18, {1, 9, 8}));
  }
  return result;
}

TEST(MaxPool, keeps_the_operator_contract) {
  for (const PoolSpec& spec : kSpecs) {
    for (const TensorDesc& desc : shapes(spec)) {
      for (const InputFill& fill :
           {InputFill{}, InputFill::through(0.01F), InputFill::activated(0.0F)}) {
        OpCase op_case;
        op_case.op = ops(spec).forward;
        op_case.inputs = {desc};
        op_case.fills = {fill};
        op_case.tolerance_terms = 2;  // the LoadTransform: one multiply-add, one product
        check_op(op_case);
      }
    }
  }
}

TEST(MaxPool, keeps_the_operator_contract_over_many_tasks) {
  OpCase op_case;
  op_case.op = ops({}).forward;
  op_case.inputs = {TensorDesc::activation(1, 20, {6, 130, 128})};
  op_case.fills = {InputFill::through(0.01F)};
  op_case.tolerance_terms = 2;
  check_op(op_case);
}

TEST(MaxPool, keeps_the_operator_contract_on_rows_longer_than_a_kernel_takes_at_once) {
  for (const PoolSpec& spec : {PoolSpec{{1, 4, 4}, {1, 4, 4}, {0, 0, 0}},
                               PoolSpec{{1, 1, 1030}, {1, 1, 1100}, {0, 0, 0}}}) {
    for (const int64_t channels : {2, 16}) {
      OpCase op_case;
      op_case.op = ops(spec).forward;
      op_case.inputs = {TensorDesc::activation(1, channels, {1, 9, 2250})};
      op_case.fills = {InputFill::through(0.01F)};
      op_case.tolerance_terms = 2;
      check_op(op_case);
    }
  }
}

TEST(MaxPool, backward_keeps_the_operator_contract) {
  for (const PoolSpec& spec : kSpecs) {
    const Ops both = ops(spec);
    for (const TensorDesc& desc : shapes(spec)) {
      for (const bool with_base : {false, true}) {
        OpCase op_case;
        op_case.op = both.backward;
        TensorDesc base = desc;
        if (!with_base) base.n = 0;
        op_case.inputs = {desc, both.forward->infer(std::vector<TensorDesc>{desc})[0], base};
        op_case.fills = {InputFill::through(0.01F)};
        // At most every window that covers a voxel, and the base.
        op_case.tolerance_terms = static_cast<double>(volume(spec.kernel)) + 1.0;
        check_op(op_case);
      }
    }
  }
}

TEST(MaxPool, backward_keeps_the_operator_contract_over_many_tasks) {
  for (const PoolSpec& spec : {kSpecs[0], kSpecs[2]}) {
    const Ops both = ops(spec);
    OpCase op_case;
    op_case.op = both.backward;
    const TensorDesc desc = TensorDesc::activation(1, 5, {18, 36, 128});
    op_case.inputs = {desc, both.forward->infer(std::vector<TensorDesc>{desc})[0], desc};
    op_case.fills = {InputFill::through(0.01F)};
    op_case.tolerance_terms = static_cast<double>(volume(spec.kernel)) + 1.0;
    check_op(op_case);
  }
}

/// The backward operator behind rectified values.
std::shared_ptr<const Op> rectified_backward(const PoolSpec& spec) {
  std::shared_ptr<const Op> result;
  GraphBuilder builder(make_apply());
  const ValueId x =
      differentiable_input(builder, "x", TensorDesc::plain(1, 1, spec.kernel, DType::f64));
  const ValueId y = max_pool(builder, spec, activation(builder, 0.0F, x, "relu"), "pool");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == "max_pool_backward") result = node.op;
    EXPECT_NE(node.op->name(), "activation_backward");
  }
  return result;
}

TEST(MaxPool, backward_of_rectified_values_keeps_the_operator_contract) {
  for (const PoolSpec& spec : kSpecs) {
    const Ops both = ops(spec);
    for (const TensorDesc& desc : shapes(spec)) {
      OpCase op_case;
      op_case.op = rectified_backward(spec);
      TensorDesc base = desc;
      base.n = 0;
      op_case.inputs = {desc, both.forward->infer(std::vector<TensorDesc>{desc})[0], base};
      op_case.fills = {InputFill::activated(0.0F)};
      // At most every window that covers a voxel.
      op_case.tolerance_terms = static_cast<double>(volume(spec.kernel));
      check_op(op_case);
    }
  }
}

TEST(MaxPool, gradient_of_rectified_values_agrees_with_central_differences) {
  for (const float slope : {0.0F, 0.25F}) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(1, 2, {4, 4, 6}, DType::f64));
      const ValueId y = activation(builder, slope, x, "relu");
      return std::vector<ValueId>{max_pool(builder, {}, y, "pool")};
    });
  }
}

TEST(MaxPool, a_gradient_joined_from_two_readers_is_rectified_by_a_node_of_its_own) {
  check_gradient([&](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(1, 2, {4, 4, 6}, DType::f64));
    const ValueId y = activation(builder, 0.0F, x, "relu");
    return std::vector<ValueId>{max_pool(builder, {}, y, "pool"),
                                max_pool(builder, {{1, 2, 2}, {1, 2, 2}, {0, 0, 0}}, y, "flat")};
  });
}

TEST(MaxPool, of_equal_maxima_the_first_in_d_h_w_order_gets_the_gradient) {
  for (const TensorDesc& desc :
       {TensorDesc::plain(1, 1, {2, 2, 2}), TensorDesc::plain(1, 1, {2, 2, 2}, DType::f64)}) {
    const Ops both = ops({});
    GraphBuilder builder(make_apply());
    const ValueId x = builder.input("x", desc);
    const ValueId grad_y = builder.input("grad_y", TensorDesc::plain(1, 1, {1, 1, 1}, desc.dtype));
    const ValueId grad_x = builder.add(both.backward, {x, grad_y, kNone}, "backward").front();
    const Graph graph = builder.finish();
    Interpreter run(graph);
    run.set(grad_y, {1});
    run.set(x, {0, 1, 2, -1, 2, 2, 0, 2});
    run.run();
    EXPECT_EQ(run.get(grad_x), (std::vector<double>{0, 0, 1, 0, 0, 0, 0, 0}));
  }
}

TEST(MaxPool, leaves_out_what_does_not_fill_a_window) {
  const auto y = ops({}).forward->infer(std::vector{TensorDesc::activation(1, 16, {7, 4, 9})});
  EXPECT_EQ(y[0].extent, (Extent3{3, 2, 4}));
}

TEST(MaxPool, gradient_agrees_with_central_differences) {
  for (const PoolSpec& spec : kSpecs) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(1, 2, {4, 5, 6}, DType::f64));
      const ValueId z = activation(builder, 0.1F, x, "relu");
      // z is read twice: its pool gradient is added onto the skip's.
      const ValueId y = max_pool(builder, spec, z, "pool");
      return std::vector<ValueId>{y, add(builder, z, z, "skip")};
    });
  }
}

TEST(MaxPool, refuses_an_input_smaller_than_a_window) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 1, {1, 8, 8}));
  EXPECT_THROW(max_pool(builder, {}, x, "pool"), ShapeError);
  EXPECT_THROW(max_pool(builder, {{1, 2, 2}, {1, 0, 2}, {0, 0, 0}}, x, "pool"), ConfigError);
  EXPECT_THROW(max_pool(builder, {{1, 2, 2}, {1, 2, 2}, {0, 2, 0}}, x, "pool"), ConfigError);
}

}  // namespace
}  // namespace wholemount
