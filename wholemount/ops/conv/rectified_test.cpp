#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/kernel_run.h"
#include "testing/op_contract.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

/// Data gradients that a rectifier's derivative is folded into (Op::rectified).
struct RectifiedCase {
  const char* description = "";
  int64_t n = 1;
  int64_t c_in = 1;
  int64_t c_out = 1;
  Extent3 extent;
  ConvGeometry geometry;
};

std::vector<TensorDesc> inputs_of(const RectifiedCase& c) {
  return {TensorDesc::activation(c.n, c.c_out, conv_output_extent(c.geometry, c.extent, "test")),
          TensorDesc::plain(c.c_out, c.c_in, c.geometry.kernel),
          TensorDesc::activation(c.n, c.c_in, c.extent)};
}

std::shared_ptr<const Op> plain_op(const RectifiedCase& c) {
  return make_conv_data_gradient_op(ConvKind::conv, c.geometry, {c.c_in}, c.extent);
}

/// The operator that rectifies the data gradient of c, as activation() asks for it.
std::shared_ptr<const Op> rectified_op(const RectifiedCase& c, float slope) {
  return plain_op(c)->rectified(Node{}, 0, slope).op;
}

void check_rectified_data_gradient(const RectifiedCase& c, Convolution convolution) {
  for (const float slope : {0.0F, 0.1F}) {
    OpCase op_case;
    op_case.op = rectified_op(c, slope);
    ASSERT_NE(op_case.op, nullptr) << c.description;
    op_case.inputs = inputs_of(c);
    op_case.fills = {InputFill{}, InputFill::parameter(), InputFill{}};
    op_case.huge_inputs = op_case.inputs;
    op_case.huge_inputs[0].n = op_case.huge_inputs[2].n = int64_t{1} << 31;
    // One multiply-add per weight behind an element, and the product with the slope; what Winograd
    // tiles lose beyond that is in winograd_test.cpp: here twice 15.86^2, the most of all tiles.
    op_case.tolerance_terms = static_cast<double>(c.c_out * volume(c.geometry.kernel) + 1);
    op_case.tolerance_factor = convolution == Convolution::direct ? 8.0 : 503.0;
    op_case.convolution = convolution;
    op_case.description = c.description;
    check_op(op_case);
  }
}

TEST(RectifiedConv, gradients_through_rectified_layers_agree_with_central_differences) {
  for (const float slope : {0.0F, 0.25F}) {
    check_gradient([&](GraphBuilder& builder) {
      const ValueId x =
          differentiable_input(builder, "x", TensorDesc::plain(1, 2, {3, 4, 3}, DType::f64));
      const ValueId first = conv(builder, {6}, std::vector<ValueId>{x}, "first");
      const ValueId y = activation(builder, slope, first, "relu");
      const ValueId second = conv(builder, {5}, std::vector<ValueId>{y}, "second");
      return std::vector<ValueId>{second};
    });
  }
}

TEST(RectifiedConv, rectified_data_gradients_keep_the_operator_contract) {
  const ConvGeometry k3;
  const ConvGeometry wide{{1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}};
  const ConvGeometry dilated{{3, 3, 3}, {1, 1, 1}, {2, 2, 2}, {2, 2, 2}};
  const ConvGeometry even{{2, 2, 4}, {1, 1, 1}, {0, 0, 1}, {1, 1, 1}};
  const Convolution direct = Convolution::direct;
  check_rectified_data_gradient({"ragged blocks", 1, 24, 17, {2, 5, 4}, k3}, direct);
  check_rectified_data_gradient({"slabs, n = 2", 2, 16, 5, {17, 4, 9}, k3}, direct);
  check_rectified_data_gradient({"from one channel", 1, 5, 1, {3, 4, 9}, k3}, direct);
  check_rectified_data_gradient({"flat, in bands", 1, 20, 5, {1, 40, 21}, wide}, direct);
  check_rectified_data_gradient({"dilated", 1, 16, 8, {5, 6, 7}, dilated}, direct);
  check_rectified_data_gradient({"even kernel", 1, 16, 8, {3, 6, 7}, even}, direct);
  for (const Convolution tile : {Convolution::winograd2, Convolution::winograd4}) {
    check_rectified_data_gradient({"tiles cut off", 1, 17, 6, {5, 6, 11}, k3}, tile);
    check_rectified_data_gradient({"flat tiles cut off", 2, 17, 6, {1, 9, 21}, wide}, tile);
  }
  const ConvGeometry whole{{2, 3, 4}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  check_rectified_data_gradient({"kernel as large as the image", 1, 16, 8, {2, 3, 4}, whole},
                                Convolution::best);
}

TEST(RectifiedConv,
     rectified_data_gradients_have_the_bits_of_the_two_operators_one_after_the_other) {
  const RectifiedCase c{"", 1, 20, 18, {6, 9, 21}, {}};
  const std::vector<TensorDesc> inputs = inputs_of(c);
  const TestInputs memory(inputs, {InputFill{}, InputFill::parameter(), InputFill{}}, 1);
  const std::vector<InputView> views = memory.views();
  const auto op = plain_op(c);
  const std::vector<TensorDesc> outputs{inputs[2]};
  constexpr float kSlope = 0.1F;
  for (const Convolution kind : {Convolution::direct, Convolution::winograd4}) {
    Target target;
    target.convolution = kind;
    TestOutputs apart(outputs);
    const std::span<const TensorDesc> two(inputs.data(), 2);
    run_kernel(*op->prepare({two, outputs, target}), {views[0], views[1]}, apart.views());
    TestOutputs joined(outputs);
    run_kernel(*rectified_op(c, kSlope)->prepare({inputs, outputs, target}), views, joined.views());
    std::vector<double> wanted = to_plain(apart.views()[0].view);
    const std::vector<double> x = to_plain(views[2].view);
    for (size_t i = 0; i < x.size(); ++i) {
      if (!(x[i] > 0)) {
        wanted[i] = static_cast<double>(static_cast<float>(wanted[i]) * kSlope);
      }
    }
    EXPECT_EQ(to_plain(joined.views()[0].view), wanted);
  }
}

TEST(RectifiedConv, only_single_inputs_of_whole_blocks_at_stride_1_are_rectified) {
  const ConvGeometry k3;
  const Extent3 extent{4, 4, 4};
  const auto rectified = [&](ConvKind kind, const ConvGeometry& geometry,
                             std::vector<int64_t> channels) {
    return make_conv_data_gradient_op(kind, geometry, std::move(channels), extent)
               ->rectified(Node{}, 0, 0.0F)
               .op != nullptr;
  };
  EXPECT_TRUE(rectified(ConvKind::conv, k3, {16}));
  EXPECT_FALSE(rectified(ConvKind::conv, k3, {16, 16}));
  EXPECT_FALSE(rectified(ConvKind::conv, k3, {4}));
  EXPECT_FALSE(rectified(ConvKind::conv, {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}, {16}));
  EXPECT_FALSE(rectified(ConvKind::conv, {{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}}, {16}));
  EXPECT_FALSE(rectified(ConvKind::transposed, {{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}}, {16}));
}

}  // namespace
}  // namespace wholemount
