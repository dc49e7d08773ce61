#include "wholemount/ops/elementwise/probabilities.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/interpreter.h"
#include "testing/op_contract.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"

namespace wholemount {
namespace {

constexpr ProbabilityKind kKinds[] = {ProbabilityKind::sigmoid, ProbabilityKind::softmax};

/// The operators as the builder functions and differentiate() emit them, by name.
std::shared_ptr<const Op> op_named(ProbabilityKind kind, const std::string& name) {
  GraphBuilder builder(make_apply());
  const ValueId x =
      differentiable_input(builder, "x", TensorDesc::plain(1, 2, {1, 1, 2}, DType::f64));
  predict_labels(builder, kind, x, "labels");
  const ValueId y = probabilities(builder, kind, x, "p");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_add());
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() == name) return node.op;
  }
  return nullptr;
}

std::vector<TensorDesc> shapes() {
  return {TensorDesc::activation(1, 1, {1, 1, 1}), TensorDesc::activation(2, 4, {3, 5, 27}),
          TensorDesc::activation(1, 3, {2, 3, 130}), TensorDesc::activation(2, 21, {3, 4, 5}),
          TensorDesc::activation(1, 16, {1, 6, 5})};
}

TEST(Probabilities, keep_the_operator_contract) {
  for (const ProbabilityKind kind : kKinds) {
    for (const TensorDesc& desc : shapes()) {
      for (const double range : {3.0, 120.0}) {
        OpCase op_case;
        op_case.op = op_named(kind, "probabilities");
        op_case.inputs = {desc};
        op_case.fills = {InputFill::uniform(-range, range)};
        // Six roundings in the exponential, the rounding of its argument (up to 87 units), the sum
        // over channels, the quotient.
        op_case.tolerance_terms = 100.0 + static_cast<double>(desc.c);
        op_case.tolerance_factor = 1;
        check_op(op_case);
      }
    }
  }
}

TEST(Probabilities, backward_keeps_the_operator_contract) {
  for (const ProbabilityKind kind : kKinds) {
    for (const TensorDesc& desc : shapes()) {
      OpCase op_case;
      op_case.op = op_named(kind, "probabilities_backward");
      op_case.inputs = {desc, desc};
      op_case.fills = {InputFill::uniform(0, 1)};
      op_case.tolerance_terms = 3.0 + static_cast<double>(desc.c);
      check_op(op_case);
    }
  }
}

TEST(Probabilities, gradient_agrees_with_central_differences) {
  for (const ProbabilityKind kind : kKinds) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(2, 3, {2, 2, 2}, DType::f64));
      return std::vector<ValueId>{probabilities(builder, kind, x, "p")};
    });
  }
}

TEST(PredictLabels, keeps_the_operator_contract) {
  for (const ProbabilityKind kind : kKinds) {
    for (const TensorDesc& desc : shapes()) {
      if (kind == ProbabilityKind::sigmoid && desc.c > 8) continue;
      OpCase op_case;
      op_case.op = op_named(kind, "predict_labels");
      op_case.inputs = {desc};
      check_op(op_case);
    }
  }
}

std::vector<double> labels(ProbabilityKind kind, const std::vector<double>& logits) {
  GraphBuilder builder(make_apply());
  const auto channels = static_cast<int64_t>(logits.size());
  const ValueId x = builder.input("x", TensorDesc::activation(1, channels, {1, 1, 1}));
  const ValueId y = predict_labels(builder, kind, x, "labels");
  const Graph graph = builder.finish();
  Interpreter run(graph);
  run.set(x, logits);
  run.run();
  return run.get(y);
}

TEST(PredictLabels, takes_the_first_of_equal_logits) {
  EXPECT_EQ(labels(ProbabilityKind::softmax, {1, 3, 3, 2}), std::vector<double>{1});
  EXPECT_EQ(labels(ProbabilityKind::softmax, {2, 2, 2, 2, 2}), std::vector<double>{0});
}

TEST(PredictLabels, sets_the_bits_of_positive_logits) {
  EXPECT_EQ(labels(ProbabilityKind::sigmoid, {1, -1, 0, 5}), std::vector<double>{9});
}

TEST(PredictLabels, refuses_more_regions_than_bits) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 9, {1, 1, 1}));
  EXPECT_THROW(predict_labels(builder, ProbabilityKind::sigmoid, x, "labels"), ShapeError);
}

}  // namespace
}  // namespace wholemount
