#include "wholemount/ops/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "testing/gradient_check.h"
#include "testing/op_contract.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"

namespace wholemount {
namespace {

/// The operator of the only node with this name that the graph function makes.
std::shared_ptr<const Op> op_named(const Graph& graph, const std::string& name) {
  const auto node =
      std::find_if(graph.nodes.begin(), graph.nodes.end(),
                   [&](const Node& candidate) { return candidate.op->name() == name; });
  return node == graph.nodes.end() ? nullptr : node->op;
}

struct Ops {
  std::shared_ptr<const Op> concat;
  std::shared_ptr<const Op> split;
};

Ops concat_ops(const std::vector<TensorDesc>& parts) {
  GraphBuilder builder(make_apply());
  std::vector<ValueId> values;
  for (const TensorDesc& part : parts) {
    values.push_back(differentiable_input(builder, "x" + std::to_string(values.size()), part));
  }
  const ValueId y = concat(builder, values, "concat");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  return {op_named(builder.graph(), "concat"), op_named(builder.graph(), "split")};
}

std::vector<std::vector<TensorDesc>> lists() {
  std::vector<std::vector<TensorDesc>> result;
  for (const std::vector<int64_t>& channels :
       std::vector<std::vector<int64_t>>{{16, 32}, {3, 5}, {1, 2}, {20, 20, 4}, {7}, {32, 21}}) {
    for (const Extent3& extent : {Extent3{3, 4, 5}, Extent3{1, 7, 19}}) {
      std::vector<TensorDesc> parts;
      for (const int64_t c : channels) parts.push_back(TensorDesc::activation(2, c, extent));
      result.push_back(parts);
    }
  }
  return result;
}

TEST(Add, keeps_the_operator_contract) {
  for (const TensorDesc& desc :
       {TensorDesc::activation(1, 1, {1, 1, 1}), TensorDesc::activation(2, 3, {3, 5, 7}),
        TensorDesc::activation(2, 21, {3, 4, 5}), TensorDesc::activation(1, 33, {1, 6, 5}),
        TensorDesc::activation(1, 16, {3, 70, 70})}) {
    for (const InputFill& fill : {InputFill{}, InputFill::through(0.01F)}) {
      OpCase op_case;
      op_case.op = make_add();
      op_case.inputs = {desc, desc};
      op_case.fills = {fill, InputFill::activated(0.25F)};
      // One sum, and per operand the two roundings of the LoadTransform.
      op_case.tolerance_terms = 5;
      check_op(op_case);
    }
  }
}

TEST(Add, gradient_agrees_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const TensorDesc desc = TensorDesc::plain(2, 3, {2, 3, 4}, DType::f64);
    const ValueId a = activation(builder, 0.1F, differentiable_input(builder, "a", desc), "relu");
    const ValueId b = differentiable_input(builder, "b", desc);
    return std::vector<ValueId>{add(builder, add(builder, a, b, "sum"), a, "again")};
  });
}

TEST(Add, refuses_different_shapes) {
  GraphBuilder builder(make_apply());
  const ValueId a = builder.input("a", TensorDesc::activation(1, 2, {1, 2, 2}));
  const ValueId b = builder.input("b", TensorDesc::activation(1, 2, {1, 2, 3}));
  EXPECT_THROW(add(builder, a, b, "sum"), ShapeError);
}

TEST(Concat, keeps_the_operator_contract) {
  for (const std::vector<TensorDesc>& parts : lists()) {
    OpCase op_case;
    op_case.op = concat_ops(parts).concat;
    op_case.inputs = parts;
    op_case.fills = {InputFill::through(0.01F), InputFill{}, InputFill::activated(0.0F)};
    op_case.tolerance_terms = 2;  // the LoadTransform
    check_op(op_case);
  }
}

TEST(Concat, backward_keeps_the_operator_contract) {
  for (const std::vector<TensorDesc>& parts : lists()) {
    const Ops both = concat_ops(parts);
    OpCase op_case;
    op_case.op = both.split;
    op_case.inputs = both.concat->infer(parts);
    if (parts.size() > 1) op_case.optional_outputs = {0, 1};
    check_op(op_case);
  }
}

TEST(Concat, gradient_agrees_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const Extent3 extent{1, 3, 2};
    const ValueId a =
        differentiable_input(builder, "a", TensorDesc::plain(1, 2, extent, DType::f64));
    const ValueId fixed = builder.input("fixed", TensorDesc::plain(1, 1, extent, DType::f64));
    const ValueId b = activation(
        builder, 0.1F,
        differentiable_input(builder, "b", TensorDesc::plain(1, 3, extent, DType::f64)), "relu");
    return std::vector<ValueId>{concat(builder, std::array{a, fixed, b}, "concat")};
  });
}

TEST(Concat, refuses_different_extents_and_empty_lists) {
  GraphBuilder builder(make_apply());
  const ValueId a = builder.input("a", TensorDesc::activation(1, 2, {1, 2, 2}));
  const ValueId b = builder.input("b", TensorDesc::activation(1, 2, {1, 2, 3}));
  EXPECT_THROW(concat(builder, std::array{a, b}, "concat"), ShapeError);
  EXPECT_THROW(concat(builder, {}, "concat"), ShapeError);
}

}  // namespace
}  // namespace wholemount
