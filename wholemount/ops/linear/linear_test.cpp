#include "wholemount/ops/linear/linear.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/op_contract.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/convolution_ops.h"
#include "wholemount/ops/linear/flatten.h"

namespace wholemount {
namespace {

struct LinearCase {
  const char* description = "";
  int64_t n = 1;
  int64_t c_in = 1;
  Extent3 extent;
  int64_t c_out = 1;
  InputFill fill = {};
  bool bias = true;
};

ConvGeometry geometry_of(const LinearCase& c) {
  return {c.extent, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
}

void expect_dense(const OpCase& op_case) {
  const auto kernel =
      op_case.op->prepare({op_case.inputs, op_case.op->infer(op_case.inputs), Target{}});
  EXPECT_NE(kernel->name().find("_dense_"), std::string::npos)
      << kernel->name() << ": " << kernel->reason();
}

void check_all_passes(const LinearCase& c) {
  const TensorDesc x = TensorDesc::activation(c.n, c.c_in, c.extent);
  const TensorDesc y = TensorDesc::activation(c.n, c.c_out, {1, 1, 1});
  const TensorDesc weights = TensorDesc::plain(c.c_out, c.c_in, c.extent);
  TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, c.c_out});
  if (!c.bias) bias.n = 0;

  OpCase forward;
  forward.op = make_conv_op(ConvKind::conv, geometry_of(c));
  forward.inputs = {weights, bias, x};
  forward.fills = {InputFill::parameter(), InputFill::parameter(), c.fill};
  // One rounded multiply-add for each weight behind an output, and one per transformed input.
  forward.tolerance_terms = 2.0 * static_cast<double>(c.c_in * volume(c.extent) + 1);
  forward.description = c.description;
  expect_dense(forward);
  check_op(forward);

  OpCase data;
  data.op = make_conv_data_gradient_op(ConvKind::conv, geometry_of(c), {c.c_in}, c.extent);
  data.inputs = {y, weights};
  data.fills = {InputFill{}, InputFill::parameter()};
  data.tolerance_terms = static_cast<double>(c.c_out + 1);
  data.description = c.description;
  expect_dense(data);
  check_op(data);

  OpCase weight;
  weight.op = make_conv_weight_gradient_op(ConvKind::conv, geometry_of(c), c.bias);
  weight.inputs = {y, x};
  weight.fills = {InputFill{}, c.fill};
  weight.accumulating_outputs = {0};
  weight.optional_outputs = {0};
  if (c.bias) {
    weight.accumulating_outputs.push_back(1);
    weight.optional_outputs.push_back(1);
  }
  // A multiply-add for each sample, and one per transformed input.
  weight.tolerance_terms = 2.0 * static_cast<double>(c.n + 1);
  weight.description = c.description;
  expect_dense(weight);
  check_op(weight);
}

TEST(Linear, keeps_the_operator_contract) {
  check_all_passes({"classes", 1, 40, {1, 1, 1}, 13});
  check_all_passes({"five samples, ragged blocks", 5, 37, {1, 3, 5}, 21, InputFill::through(0.0F)});
  check_all_passes({"planar image", 2, 3, {2, 3, 5}, 4, InputFill::through(0.1F)});
  check_all_passes({"one value", 1, 1, {1, 1, 1}, 1});
  check_all_passes({"no bias", 2, 16, {1, 1, 9}, 16, {}, false});
  check_all_passes({"more voxels than a task takes", 1, 18, {2, 13, 23}, 9});
  check_all_passes({"sums of more than 4,096 terms", 3, 64, {1, 8, 10}, 7});
}

TEST(Linear, keeps_the_contract_as_a_transposed_convolution_of_one_voxel) {
  const ConvGeometry geometry{{2, 3, 2}, {2, 3, 2}, {0, 0, 0}, {1, 1, 1}};
  OpCase forward;
  forward.op = make_conv_op(ConvKind::transposed, geometry);
  forward.inputs = {TensorDesc::plain(20, 17, geometry.kernel), TensorDesc::plain(1, 1, {1, 1, 17}),
                    TensorDesc::activation(2, 20, {1, 1, 1})};
  forward.fills = {InputFill::parameter(), InputFill::parameter(), InputFill::through(0.1F)};
  forward.tolerance_terms = 2.0 * 21;
  expect_dense(forward);
  check_op(forward);

  OpCase weight;
  weight.op = make_conv_weight_gradient_op(ConvKind::transposed, geometry, true);
  weight.inputs = {TensorDesc::activation(2, 17, {2, 3, 2}),
                   TensorDesc::activation(2, 20, {1, 1, 1})};
  weight.accumulating_outputs = {0, 1};
  weight.optional_outputs = {0, 1};
  // A bias sums over the voxels of both samples.
  weight.tolerance_terms = 2.0 * 12;
  expect_dense(weight);
  check_op(weight);
}

TEST(Linear, gradients_agree_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(2, 3, {1, 2, 3}, DType::f64));
    const ValueId hidden = linear(builder, 4, activation(builder, 0.1F, x, "leaky"), "hidden");
    return std::vector<ValueId>{linear(builder, 2, hidden, "classes", false)};
  });
}

TEST(Flatten, keeps_the_operator_contract) {
  const auto check = [](const char* description, std::vector<TensorDesc> inputs, InputFill fill) {
    OpCase flatten;
    flatten.op = make_flatten();
    flatten.fills.assign(inputs.size(), fill);
    flatten.inputs = std::move(inputs);
    flatten.accumulating_outputs = {0};
    // A transformed input is one multiply-add.
    flatten.tolerance_terms = 2.0;
    flatten.description = description;
    flatten.huge_inputs = {TensorDesc::activation(1, 64, {3000, 3000, 3000})};
    check_op(flatten);
  };
  check("an outer product's factors",
        {TensorDesc::activation(1, 21, {1, 1, 1}), TensorDesc::activation(1, 37, {1, 3, 5})},
        InputFill{});
  check("read through", {TensorDesc::activation(1, 40, {2, 3, 19})}, InputFill::through(0.1F));
  check("planar and plain",
        {TensorDesc::activation(1, 3, {2, 3, 5}), TensorDesc::plain(1, 1, {1, 1, 50})},
        InputFill{});
}

TEST(Flatten, refuses_more_than_one_sample) {
  const TensorDesc two = TensorDesc::activation(2, 16, {1, 1, 1});
  EXPECT_THROW((void)make_flatten()->infer({&two, 1}), ShapeError);
}

/// The values of the backward pass that carry gradients of parameters.
std::vector<ValueKind> gradient_kinds(int64_t c_out, const TensorDesc& image) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", image);
  const ValueId y = linear(builder, c_out, linear(builder, c_out, x, "first"), "second");
  differentiate(builder, {random_projection(builder, y, 1, "loss")}, make_apply());
  std::vector<ValueKind> kinds;
  for (const Value& value : builder.graph().values) {
    if (value.parameter != kNone && value.kind != ValueKind::parameter) kinds.push_back(value.kind);
  }
  return kinds;
}

TEST(Linear, gradients_of_large_matrices_are_left_as_factors) {
  using enum ValueKind;
  // 512 x 512, then 512 x 2048: backward, and the bias after the weights.
  EXPECT_EQ(
      gradient_kinds(512, TensorDesc::activation(1, 512, {1, 2, 2})),
      (std::vector{gradient_factors, parameter_gradient, gradient_factors, parameter_gradient}));
  // Small matrices, and those of two samples in one tensor, are summed as they come.
  EXPECT_EQ(gradient_kinds(16, TensorDesc::activation(1, 512, {1, 2, 2})),
            (std::vector(4, parameter_gradient)));
  EXPECT_EQ(gradient_kinds(512, TensorDesc::activation(2, 512, {1, 2, 2})),
            (std::vector(4, parameter_gradient)));
}

TEST(Linear, factored_gradients_agree_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(1, 64, {1, 2, 2}, DType::f64));
    const ValueId hidden = linear(builder, 256, activation(builder, 0.1F, x, "leaky"), "hidden");
    return std::vector<ValueId>{linear(builder, 2, hidden, "classes")};
  });
}

TEST(Linear, declares_one_weight_for_every_input_value) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 1024, {1, 8, 10}));
  const ValueId y = linear(builder, 512, x, "ip0");
  EXPECT_EQ(builder.desc(y), TensorDesc::activation(1, 512, {1, 1, 1}));
  ASSERT_EQ(builder.graph().parameters.size(), 2U);
  EXPECT_EQ(builder.graph().parameters[0].desc.num_elements(), 41943040);
  EXPECT_EQ(builder.graph().parameters[0].fan_in, 81920);
  EXPECT_THROW((void)linear(builder, 0, x, "none"), ShapeError);
}

}  // namespace
}  // namespace wholemount
