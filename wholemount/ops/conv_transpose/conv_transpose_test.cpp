#include "wholemount/ops/conv_transpose/conv_transpose.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/op_contract.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

struct TransposedCase {
  const char* description = "";
  int64_t n = 1;
  int64_t c_in = 1;
  int64_t c_out = 1;
  Extent3 extent;  ///< of x
  ConvGeometry geometry;
  InputFill fill = {};
  bool bias = true;
};

constexpr ConvGeometry kDouble{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}};

void check_all_passes(const TransposedCase& c) {
  const TensorDesc x = TensorDesc::activation(c.n, c.c_in, c.extent);
  const TensorDesc y =
      TensorDesc::activation(c.n, c.c_out, conv_adjoint_extent(c.geometry, c.extent, "test"));
  const TensorDesc weights = TensorDesc::plain(c.c_in, c.c_out, c.geometry.kernel);
  TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, c.c_out});
  if (!c.bias) bias.n = 0;
  const auto taps = static_cast<double>(volume(c.geometry.kernel));

  OpCase forward;
  forward.op = make_conv_op(ConvKind::transposed, c.geometry);
  forward.inputs = {weights, bias, x};
  forward.fills = {InputFill::parameter(), InputFill::parameter(), c.fill};
  // One rounded multiply-add for each weight behind an output, and one per transformed input.
  forward.tolerance_terms = 2.0 * (taps * static_cast<double>(c.c_in) + 1.0);
  forward.description = c.description;
  check_op(forward);

  OpCase data;
  data.op = make_conv_data_gradient_op(ConvKind::transposed, c.geometry, {c.c_in}, c.extent);
  data.inputs = {y, weights};
  data.fills = {InputFill{}, InputFill::parameter()};
  data.tolerance_terms = taps * static_cast<double>(c.c_out) + 1.0;
  data.description = c.description;
  check_op(data);

  OpCase weight;
  weight.op = make_conv_weight_gradient_op(ConvKind::transposed, c.geometry, c.bias);
  weight.inputs = {y, x};
  weight.fills = {InputFill{}, c.fill};
  weight.accumulating_outputs = {0};
  if (c.bias) {
    weight.accumulating_outputs.push_back(1);
    weight.optional_outputs = {0, 1};
  }
  // A bias sums over y, a weight over x, each at most:
  weight.tolerance_terms = 2.0 * static_cast<double>(c.n * volume(y.extent));
  weight.description = c.description;
  check_op(weight);
}

TEST(ConvTranspose, keeps_the_operator_contract) {
  check_all_passes({"doubling", 1, 32, 16, {3, 4, 5}, kDouble});
  check_all_passes({"ragged, through a transform, n = 2",
                    2,
                    17,
                    20,
                    {2, 3, 3},
                    kDouble,
                    InputFill::through(0.01F)});
  check_all_passes({"few channels", 1, 4, 3, {2, 3, 5}, kDouble, InputFill::through(0.0F)});
  check_all_passes({"one voxel", 1, 48, 5, {1, 1, 1}, kDouble, {}, false});
  check_all_passes({"2-D", 1, 20, 16, {1, 9, 7}, {{1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}}});
  check_all_passes(
      {"overlapping taps", 1, 6, 18, {3, 4, 5}, {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}}});
  const ConvGeometry overlapping{{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
  check_all_passes({"a block and a half in long rows",
                    1,
                    40,
                    24,
                    {3, 4, 17},
                    overlapping,
                    InputFill::through(0.01F)});
  check_all_passes({"one block in long rows", 1, 16, 16, {3, 4, 15}, overlapping});
  check_all_passes(
      {"gaps between taps", 1, 5, 6, {3, 2, 4}, {{1, 2, 1}, {2, 3, 2}, {0, 0, 0}, {1, 1, 1}}});
  check_all_passes({"stride 1", 1, 5, 6, {3, 4, 4}, {{3, 3, 3}, {1, 1, 1}, {1, 0, 2}, {1, 1, 1}}});
  check_all_passes({"several slabs and bands", 1, 5, 6, {19, 11, 5}, kDouble});
}

TEST(ConvTranspose, gradients_agree_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(1, 3, {2, 3, 2}, DType::f64));
    const ValueId up = conv_transpose(builder, {2}, activation(builder, 0.1F, x, "leaky"), "up");
    const ConvTransposeSpec wide{3, {3, 2, 3}, {2, 1, 2}, {1, 0, 1}};
    return std::vector<ValueId>{conv_transpose(builder, wide, up, "wide", false)};
  });
}

TEST(ConvTranspose, declares_weights_of_the_adjoint_convolution) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 32, {12, 12, 12}));
  const ValueId y = conv_transpose(builder, {16}, x, "up");
  EXPECT_EQ(builder.desc(y), TensorDesc::activation(1, 16, {24, 24, 24}));
  ASSERT_EQ(builder.graph().parameters.size(), 2U);
  EXPECT_EQ(builder.graph().parameters[0].desc, TensorDesc::plain(32, 16, {2, 2, 2}));
  // Kernel 2 with stride 2: every output voxel is hit by one tap.
  EXPECT_EQ(builder.graph().parameters[0].fan_in, 32);
  EXPECT_EQ(builder.graph().parameters[1].desc, TensorDesc::plain(1, 1, {1, 1, 16}));
}

TEST(ConvTranspose, refuses_shapes_that_leave_nothing) {
  GraphBuilder builder(make_apply());
  const ValueId x = builder.input("x", TensorDesc::activation(1, 5, {1, 1, 1}));
  EXPECT_THROW((void)conv_transpose(builder, {4, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}}, x, "up"),
               ShapeError);
  EXPECT_THROW((void)conv_transpose(builder, {0}, x, "up"), ShapeError);
}

}  // namespace
}  // namespace wholemount
