#include "wholemount/ops/conv/conv.h"

#include <gtest/gtest.h>

#include "testing/gradient_check.h"
#include "testing/kernel_run.h"
#include "testing/op_contract.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

struct ConvCase {
  const char* description = "";
  int64_t n = 1;
  std::vector<int64_t> c_in;
  int64_t c_out = 1;
  Extent3 extent;
  ConvGeometry geometry;
  bool bias = true;
  /// Transforms of the inputs; missing: none.
  std::vector<InputFill> fills = {};
};

std::vector<TensorDesc> inputs_of(const ConvCase& c) {
  std::vector<TensorDesc> xs;
  for (const int64_t channels : c.c_in) {
    xs.push_back(TensorDesc::activation(c.n, channels, c.extent));
  }
  return xs;
}

int64_t sum(const std::vector<int64_t>& values) {
  int64_t result = 0;
  for (const int64_t value : values) result += value;
  return result;
}

TensorDesc weights_of(const ConvCase& c) {
  return TensorDesc::plain(c.c_out, sum(c.c_in), c.geometry.kernel);
}

TensorDesc output_of(const ConvCase& c) {
  return TensorDesc::activation(c.n, c.c_out, conv_output_extent(c.geometry, c.extent, "test"));
}

InputFill fill_of(const ConvCase& c, size_t input) {
  return input < c.fills.size() ? c.fills[input] : InputFill{};
}

void check_forward(const ConvCase& c) {
  OpCase op_case;
  op_case.op = make_conv_op(ConvKind::conv, c.geometry);
  TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, c.c_out});
  if (!c.bias) bias.n = 0;
  op_case.inputs = {weights_of(c), bias};
  op_case.fills = {InputFill::parameter(), InputFill::parameter()};
  for (const TensorDesc& x : inputs_of(c)) {
    op_case.fills.push_back(fill_of(c, op_case.inputs.size() - 2));
    op_case.inputs.push_back(x);
  }
  // One rounded multiply-add for each weight behind an output, and one per transformed input.
  op_case.tolerance_terms = 2.0 * static_cast<double>(sum(c.c_in) * volume(c.geometry.kernel) + 1);
  op_case.description = c.description;
  check_op(op_case);
}

void check_data_gradient(const ConvCase& c) {
  OpCase op_case;
  op_case.op = make_conv_data_gradient_op(ConvKind::conv, c.geometry, c.c_in, c.extent);
  op_case.inputs = {output_of(c), weights_of(c)};
  op_case.fills = {InputFill{}, InputFill::parameter()};
  op_case.tolerance_terms = static_cast<double>(c.c_out * volume(c.geometry.kernel) + 1);
  for (size_t i = 0; c.c_in.size() > 1 && i < c.c_in.size(); ++i) {
    op_case.optional_outputs.push_back(static_cast<int>(i));
  }
  op_case.description = c.description;
  check_op(op_case);
}

void check_weight_gradient(const ConvCase& c) {
  OpCase op_case;
  op_case.op = make_conv_weight_gradient_op(ConvKind::conv, c.geometry, c.bias);
  op_case.inputs = {output_of(c)};
  op_case.fills = {InputFill{}};
  for (const TensorDesc& x : inputs_of(c)) {
    op_case.fills.push_back(fill_of(c, op_case.inputs.size() - 1));
    op_case.inputs.push_back(x);
  }
  op_case.accumulating_outputs = {0};
  op_case.optional_outputs = {0};
  if (c.bias) {
    op_case.accumulating_outputs.push_back(1);
    op_case.optional_outputs.push_back(1);
  }
  // One multiply-add per output voxel, and one per transformed input.
  op_case.tolerance_terms = 2.0 * static_cast<double>(output_of(c).n * volume(output_of(c).extent));
  op_case.description = c.description;
  check_op(op_case);
}

void check_all_passes(const ConvCase& c) {
  check_forward(c);
  check_data_gradient(c);
  check_weight_gradient(c);
}

TEST(Conv, keeps_the_operator_contract_for_every_channel_count) {
  const ConvGeometry k3;
  check_all_passes({"image to features", 1, {1}, 16, {3, 5, 30}, k3});
  check_all_passes({"two modalities, n = 2", 2, {2}, 5, {3, 4, 5}, k3});
  check_all_passes({"plain to plain", 1, {3}, 4, {2, 3, 5}, k3});
  check_all_passes({"four plain channels", 1, {4}, 17, {2, 3, 5}, k3});
  check_all_passes({"features to logits", 1, {16}, 3, {3, 4, 6}, k3});
  check_all_passes({"ragged blocks", 1, {17}, 24, {2, 5, 4}, k3});
  check_all_passes({"whole blocks", 1, {32}, 48, {2, 3, 7}, k3});
  check_all_passes({"five to five without bias", 1, {5}, 5, {2, 3, 4}, k3, false});
}

TEST(Conv, keeps_the_operator_contract_for_concatenated_inputs) {
  const ConvGeometry k3;
  check_all_passes({"up and skip", 1, {16, 16}, 16, {3, 4, 9}, k3});
  check_all_passes({"ragged", 1, {17, 5}, 20, {2, 3, 4}, k3});
  check_all_passes({"image beside features", 1, {16, 1, 3}, 17, {2, 4, 5}, k3});
}

/// The kernels of a case in the order forward, data gradient, weight gradient.
std::vector<std::string> kernel_names(const ConvCase& c) {
  const auto name = [](const Op& op, const std::vector<TensorDesc>& inputs) {
    return op.prepare({inputs, op.infer(inputs), Target{}})->name();
  };
  std::vector<TensorDesc> forward{weights_of(c), TensorDesc::plain(1, 1, {1, 1, c.c_out})};
  std::vector<TensorDesc> backward{output_of(c)};
  for (const TensorDesc& x : inputs_of(c)) {
    forward.push_back(x);
    backward.push_back(x);
  }
  return {name(*make_conv_op(ConvKind::conv, c.geometry), forward),
          name(*make_conv_data_gradient_op(ConvKind::conv, c.geometry, c.c_in, c.extent),
               {output_of(c), weights_of(c)}),
          name(*make_conv_weight_gradient_op(ConvKind::conv, c.geometry, true), backward)};
}

void check_all_passes_by(const ConvCase& c, const std::string& kind) {
  for (const std::string& name : kernel_names(c)) {
    EXPECT_NE(name.find("_" + kind + "_"), std::string::npos) << c.description << ": " << name;
  }
  check_all_passes(c);
}

TEST(Conv, heads_keep_the_operator_contract) {
  const ConvGeometry one{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  check_all_passes_by({"one logit", 1, {16}, 1, {3, 5, 7}, one}, "head");
  check_all_passes_by({"three logits, n = 2, through a transform",
                       2,
                       {37},
                       3,
                       {2, 3, 19},
                       one,
                       true,
                       {InputFill::through(0.1F)}},
                      "head");
  check_all_passes_by({"four logits of two inputs", 1, {20, 16}, 4, {1, 9, 5}, one, false}, "head");
  check_all_passes_by({"two logits of one row", 1, {5}, 2, {1, 1, 33}, one}, "head");
  // The other way round, forward and data gradient change places.
  const ConvCase image{"image to features", 1,   {3},  20,
                       {2, 3, 9},           one, true, {InputFill::through(0.1F)}};
  EXPECT_NE(kernel_names(image)[0].find("_head_"), std::string::npos);
  EXPECT_NE(kernel_names(image)[1].find("_head_"), std::string::npos);
  check_all_passes(image);
}

TEST(Conv, kernels_as_large_as_their_stride_keep_the_operator_contract) {
  const ConvGeometry one{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  const ConvGeometry half{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}};
  check_all_passes_by({"mixing channels of two inputs",
                       2,
                       {17, 20},
                       40,
                       {3, 4, 9},
                       one,
                       true,
                       {InputFill::through(0.0F), InputFill{}}},
                      "gemm");
  check_all_passes_by({"one voxel wide", 1, {16}, 48, {5, 7, 1}, one}, "gemm");
  check_all_passes_by({"halving", 1, {18}, 21, {4, 6, 10}, half, true, {InputFill::through(0.1F)}},
                      "gemm");
  check_all_passes_by({"long rows", 1, {16}, 33, {2, 4, 130}, half}, "gemm");
  check_all_passes_by({"halving planes only",
                       1,
                       {5},
                       16,
                       {1, 6, 9},
                       {{1, 2, 1}, {1, 2, 1}, {0, 0, 0}, {1, 1, 1}},
                       false},
                      "gemm");
}

TEST(Conv, keeps_the_operator_contract_for_every_geometry) {
  check_all_passes({"k1 p0", 1, {20}, 33, {2, 3, 5}, {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}});
  check_all_passes(
      {"k2 s2 p0", 1, {5}, 16, {5, 6, 7}, {{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}}});
  check_all_passes({"k5 p2", 1, {6}, 18, {3, 6, 7}, {{5, 5, 5}, {1, 1, 1}, {2, 2, 2}, {1, 1, 1}}});
  check_all_passes({"s2", 1, {17}, 5, {5, 6, 9}, {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}}});
  check_all_passes({"s3 k2", 1, {2}, 5, {7, 8, 8}, {{2, 2, 2}, {3, 3, 3}, {0, 0, 0}, {1, 1, 1}}});
  check_all_passes(
      {"dilation 2", 1, {7}, 6, {7, 6, 9}, {{3, 3, 3}, {1, 1, 1}, {2, 2, 2}, {2, 2, 2}}});
  check_all_passes(
      {"dilation 2 stride 3", 1, {5}, 6, {9, 8, 11}, {{3, 2, 3}, {3, 2, 3}, {1, 0, 3}, {2, 2, 1}}});
  check_all_passes(
      {"different axes", 1, {5}, 7, {6, 4, 9}, {{1, 3, 2}, {2, 1, 3}, {0, 2, 1}, {1, 1, 2}}});
  check_all_passes({"padding beyond the kernel",
                    1,
                    {3},
                    5,
                    {2, 2, 3},
                    {{1, 2, 2}, {1, 1, 1}, {2, 3, 2}, {1, 1, 1}}});
  check_all_passes(
      {"no padding", 1, {16}, 16, {4, 5, 6}, {{3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}});
}

// Ragged blocks are summed by halves where rows are longer than the tiles of short ones.
TEST(Conv, keeps_the_operator_contract_for_halves_of_blocks_in_long_rows) {
  const ConvGeometry s2{{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
  const ConvGeometry r2{{3, 3, 3}, {1, 1, 1}, {2, 2, 2}, {2, 2, 2}};
  check_all_passes(
      {"two blocks and a half", 1, {24}, 40, {4, 5, 35}, s2, true, {InputFill::through(0.1F)}});
  check_all_passes({"one block, n = 2", 2, {32}, 16, {3, 4, 37}, s2});
  check_all_passes({"three blocks and a half", 1, {50}, 52, {2, 3, 20}, s2});
  check_all_passes({"half a block of two inputs", 1, {8, 24}, 6, {3, 4, 31}, s2});
  check_all_passes({"odd channels", 1, {17, 5}, 23, {3, 4, 19}, s2});
  check_all_passes({"an image beside features", 1, {2, 16}, 24, {2, 3, 19}, s2});
  check_all_passes({"dilated", 1, {24}, 24, {3, 5, 29}, r2, false});
  check_all_passes(
      {"neighbouring taps", 1, {24}, 20, {3, 3, 30}, {{3, 2, 3}, {2, 1, 1}, {1, 0, 1}, {1, 1, 1}}});
  check_all_passes({"weights in several chunks", 1, {160}, 40, {1, 3, 18}, s2});
  check_all_passes({"several slabs, bands and parts", 1, {24}, 8, {37, 41, 17}, s2});
}

// Rows of at least sixteen voxels are read where they lie, the padding left out, unless a transform
// stands in between; the last tile of a row reaches back.
TEST(Conv, keeps_the_operator_contract_for_few_channels_beside_blocks_in_long_rows) {
  const ConvGeometry k3;
  check_all_passes({"one tile", 1, {16}, 1, {5, 6, 16}, k3});
  check_all_passes({"reaching back, two inputs, n = 2", 2, {16, 20}, 3, {4, 5, 37}, k3, false});
  check_all_passes({"one of two through a transform",
                    1,
                    {16, 5},
                    2,
                    {3, 4, 50},
                    k3,
                    true,
                    {InputFill::through(0.1F)}});
  check_all_passes({"several slabs and parts", 1, {16}, 1, {99, 9, 17}, k3});
  check_all_passes({"no padding", 1, {16}, 1, {5, 6, 20}, {{3, 3, 3}, {1, 1, 1}, {0, 0, 0}}});
  check_all_passes({"padding of two", 1, {16}, 1, {3, 4, 17}, {{3, 3, 3}, {1, 1, 1}, {1, 1, 2}}});
  check_all_passes({"2-D", 1, {16}, 4, {1, 19, 33}, {{1, 3, 3}, {1, 1, 1}, {0, 1, 1}}});
  check_all_passes(
      {"dilated", 1, {24}, 3, {6, 7, 18}, {{3, 3, 3}, {1, 1, 1}, {2, 2, 1}, {2, 2, 1}}});
  check_all_passes({"strides", 1, {17}, 2, {7, 8, 20}, {{3, 3, 3}, {2, 2, 1}, {1, 1, 1}}});
  check_all_passes({"five planes", 1, {16}, 3, {6, 4, 17}, {{5, 3, 3}, {1, 1, 1}, {2, 1, 1}}});
  check_all_passes({"an image's gradient", 1, {3}, 20, {3, 5, 18}, k3});
  check_all_passes({"a strided one's", 1, {2}, 16, {3, 4, 37}, {{3, 3, 6}, {1, 1, 2}, {1, 1, 2}}});
}

TEST(Conv, keeps_the_operator_contract_in_two_dimensions_and_at_single_voxels) {
  const ConvGeometry plane{{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
  check_all_passes({"2-D", 2, {16}, 20, {1, 19, 33}, plane});
  check_all_passes({"2-D image, stride 2",
                    1,
                    {3},
                    16,
                    {1, 21, 18},
                    {{1, 5, 5}, {1, 2, 2}, {0, 2, 2}, {1, 1, 1}}});
  check_all_passes({"one voxel", 1, {16}, 16, {1, 1, 1}, {}});
  check_all_passes({"one row", 1, {4}, 6, {1, 1, 70}, {}});
  check_all_passes({"one column", 1, {5}, 6, {1, 40, 1}, {}});
}

TEST(Conv, keeps_the_operator_contract_when_inputs_are_read_through_transforms) {
  const ConvGeometry k3;
  check_all_passes({"norm and ReLU", 1, {16}, 16, {3, 4, 5}, k3, true, {InputFill::through(0.0F)}});
  check_all_passes({"leaky and plain image",
                    1,
                    {17, 2},
                    5,
                    {3, 4, 5},
                    k3,
                    true,
                    {InputFill::through(0.01F), InputFill::activated(0.25F)}});
  check_all_passes({"one of two, n = 2",
                    2,
                    {5, 20},
                    6,
                    {2, 3, 4},
                    k3,
                    true,
                    {InputFill{}, InputFill::through(1.0F)}});
  check_all_passes(
      {"image through a scale", 1, {3}, 6, {2, 3, 4}, k3, true, {InputFill::through(0.1F)}});
  check_all_passes({"images with long rows",
                    1,
                    {1, 4, 2},
                    6,
                    {2, 3, 39},
                    k3,
                    true,
                    {InputFill::activated(0.25F), InputFill::through(0.1F)}});
}

TEST(Conv, keeps_the_operator_contract_for_deep_layers_and_many_slabs) {
  check_all_passes({"many channels on few voxels", 1, {160}, 36, {1, 2, 3}, {}});
  check_all_passes({"several slabs, bands and parts", 1, {5}, 6, {19, 21, 5}, {}});
}

TEST(Conv, keeps_the_operator_contract_when_rows_are_dealt_in_bands_and_cut) {
  // 32 channels of 3 x 202 voxels take 77 KiB, so bands of eight rows; rows of 402 are cut.
  check_forward({"bands", 1, {32}, 2, {1, 20, 200}, {}});
  check_data_gradient({"bands", 1, {2}, 32, {1, 20, 200}, {}});
  check_weight_gradient({"bands", 1, {32}, 2, {1, 20, 200}, {}});
  check_forward({"cut rows", 1, {32}, 1, {1, 9, 400}, {}});
  check_data_gradient({"cut rows, stride 2",
                       1,
                       {1},
                       40,
                       {1, 18, 800},
                       {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}}});
  check_weight_gradient({"cut rows", 1, {32}, 1, {1, 9, 400}, {}});
}

TEST(Conv, gradients_agree_with_central_differences) {
  check_gradient([](GraphBuilder& builder) {
    const ValueId a =
        differentiable_input(builder, "a", TensorDesc::plain(1, 2, {3, 4, 3}, DType::f64));
    const ValueId b =
        differentiable_input(builder, "b", TensorDesc::plain(1, 3, {3, 4, 3}, DType::f64));
    const std::vector<ValueId> both{activation(builder, 0.1F, a, "leaky"), b};
    const std::vector<ValueId> hidden{conv(builder, {4}, both, "hidden")};
    return std::vector<ValueId>{
        conv(builder, {3, {3, 2, 1}, {2, 1, 2}, {1, 1, 0}, {1, 2, 1}}, hidden, "out", false)};
  });
}

TEST(Conv, gradient_of_an_input_that_wants_none_is_not_computed) {
  GraphBuilder builder(make_apply());
  const TensorDesc desc = TensorDesc::activation(1, 16, {4, 4, 4});
  const ValueId image = builder.input("image", desc);
  const std::vector<ValueId> first_input{image};
  const ValueId first = conv(builder, {16}, first_input, "first");
  const std::vector<ValueId> second_inputs{first, image};
  const ValueId second = conv(builder, {16}, second_inputs, "second");
  differentiate(builder, {random_projection(builder, second, 1, "loss")}, make_apply());
  int data_gradients = 0;
  for (const Node& node : builder.graph().nodes) {
    if (node.op->name() != "conv_data_gradient") continue;
    ++data_gradients;
    ASSERT_EQ(node.outputs.size(), 2U);
    EXPECT_NE(node.outputs[0], kNone);
    EXPECT_EQ(node.outputs[1], kNone) << "nothing upstream of the image wants its gradient";
  }
  EXPECT_EQ(data_gradients, 1);
}

TEST(Conv, data_gradient_prepared_without_an_output_computes_the_others) {
  const std::vector<int64_t> channels{5, 20, 3};
  const auto op = make_conv_data_gradient_op(ConvKind::conv, {}, channels, {3, 4, 5});
  const std::vector<TensorDesc> inputs{TensorDesc::activation(1, 6, {3, 4, 5}),
                                       TensorDesc::plain(6, 28, {3, 3, 3})};
  const std::vector<TensorDesc> all = op->infer(inputs);
  std::vector<TensorDesc> without = all;
  without[1] = TensorDesc{};
  without[1].n = 0;
  const TestInputs memory(inputs, {InputFill{}, InputFill::parameter()}, 1);
  TestOutputs wanted(all);
  run_kernel(*op->prepare({inputs, all, Target{best_isa(), true}}), memory.views(), wanted.views());
  TestOutputs found(all);
  found.views()[1].view.origin = nullptr;
  run_kernel(*op->prepare({inputs, without, Target{}}), memory.views(), found.views());
  for (const size_t output : {size_t{0}, size_t{2}}) {
    const std::vector<double> a = to_plain(wanted.views()[output].view);
    const std::vector<double> b = to_plain(found.views()[output].view);
    for (size_t i = 0; i < a.size(); ++i) {
      // 6 x 27 products of standard normal numbers: sqrt(162) roundings of a sum of size sqrt(162).
      ASSERT_NEAR(a[i], b[i], 8 * 6e-8 * 162) << "output " << output << " element " << i;
    }
  }
}

TEST(Conv, output_extents_and_errors_follow_the_formula) {
  const ConvGeometry strided{{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
  EXPECT_EQ(conv_output_extent(strided, {33, 32, 1}, "x"), (Extent3{17, 16, 1}));
  const ConvGeometry dilated{{3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {2, 2, 2}};
  EXPECT_EQ(conv_output_extent(dilated, {5, 6, 7}, "x"), (Extent3{1, 2, 3}));
  EXPECT_THROW((void)conv_output_extent(dilated, {4, 6, 7}, "x"), ShapeError);
  EXPECT_THROW((void)conv_output_extent({{0, 1, 1}}, {4, 4, 4}, "x"), ShapeError);
  GraphBuilder builder(make_apply());
  const std::vector<ValueId> xs{builder.input("x", TensorDesc::activation(1, 5, {4, 4, 4})),
                                builder.input("z", TensorDesc::activation(1, 5, {4, 4, 5}))};
  EXPECT_THROW((void)conv(builder, {8}, xs, "joined"), ShapeError);
  EXPECT_THROW((void)conv(builder, {0}, {xs.data(), 1}, "nothing"), ShapeError);
  EXPECT_THROW((void)conv(builder, {8}, {}, "no inputs"), ShapeError);
}

TEST(Conv, declares_its_parameters) {
  GraphBuilder builder(make_apply());
  const std::vector<ValueId> xs{builder.input("x", TensorDesc::activation(1, 5, {4, 4, 4})),
                                builder.input("z", TensorDesc::activation(1, 2, {4, 4, 4}))};
  (void)conv(builder, {8}, xs, "joined");
  const std::vector<ParameterSpec>& parameters = builder.graph().parameters;
  ASSERT_EQ(parameters.size(), 2U);
  EXPECT_EQ(parameters[0].name, "joined.weight");
  EXPECT_EQ(parameters[0].desc, TensorDesc::plain(8, 7, {3, 3, 3}));
  EXPECT_EQ(parameters[0].fan_in, 7 * 27);
  EXPECT_EQ(parameters[1].desc, TensorDesc::plain(1, 1, {1, 1, 8}));
}

}  // namespace
}  // namespace wholemount
