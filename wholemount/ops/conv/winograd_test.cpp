#include <gtest/gtest.h>

#include <cmath>

#include "testing/fill.h"
#include "testing/kernel_run.h"
#include "testing/op_contract.h"
#include "wholemount/ops/conv/convolution_ops.h"
#include "wholemount/ops/conv/deep_winograd_kernel.h"
#include "wholemount/ops/conv/winograd_correlation_kernel.h"
#include "wholemount/ops/conv/winograd_shape.h"

namespace wholemount {
namespace {

struct WinogradCase {
  const char* description = "";
  int64_t n = 1;
  std::vector<int64_t> c_in;
  int64_t c_out = 16;
  Extent3 extent;
  ConvGeometry geometry = {};
  bool bias = true;
  std::vector<InputFill> fills = {};
};

constexpr ConvGeometry kFlat{{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
constexpr ConvGeometry kWide{{1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}};

int64_t sum(const std::vector<int64_t>& values) {
  int64_t result = 0;
  for (const int64_t value : values) result += value;
  return result;
}

/// How much an axis of `outputs` a tile amplifies independent relative errors of the products at
/// the frequencies: the root mean square of the error of an output over that of the output itself
/// is at most
///   max_i sqrt(sum_f A(f,i)^2 |G(f,:)|^2 |B(:,f)|^2 / taps)          (forward, data gradient)
///   max_k sqrt(sum_f G(f,k)^2 |A(f,:)|^2 |B(:,f)|^2 / outputs)       (weight gradient)
/// for independent operands of variance 1; computed from the matrices of winograd_axis.h.
double amplification(int64_t outputs, int64_t taps, bool weight_gradient) {
  if (outputs == 1) return 1.0;
  if (taps == 5 && outputs == 2) return weight_gradient ? 3.3750 : 2.4152;
  if (taps == 5 && outputs == 4) return weight_gradient ? 5.9953 : 5.4548;
  if (taps == 5) return weight_gradient ? 14.5914 : 15.8573;
  if (outputs == 2) return weight_gradient ? 1.4143 : 1.2910;
  return weight_gradient ? 2.5612 : 2.8602;
}

/// Sums of `terms` products at a frequency, and three transforms of up to ten terms on three axes
/// around them, round independently; twice the root mean square of such an error must not be
/// exceeded (eps is twice the unit roundoff, so this is four standard deviations; the errors of the
/// tile's best outputs are far smaller, and no value of the cases comes near it).
void set_tolerance(OpCase& op_case, Convolution convolution, const ConvGeometry& geometry,
                   double terms, bool weight_gradient) {
  const Extent3& kernel = geometry.kernel;
  const auto tile =
      choose_winograd_tile({1, {1, 1, 1}, kernel, 1, 1, weight_gradient}, convolution);
  const Extent3 outputs = winograd_shape(*tile).outputs;
  op_case.tolerance_factor = 2.0 * amplification(outputs.d, kernel.d, weight_gradient) *
                             amplification(outputs.h, kernel.h, weight_gradient) *
                             amplification(outputs.w, kernel.w, weight_gradient);
  op_case.tolerance_terms = terms + 3.0 * 3.0 * 10.0;
  // Winograd multiplies the zeros of the padding too: errors are those of an output away from it.
  const auto taps = static_cast<double>(weight_gradient ? 1 : volume(geometry.kernel));
  op_case.minimum_magnitude = std::sqrt(taps * terms);
  op_case.convolution = convolution;
}

std::vector<TensorDesc> inputs_of(const WinogradCase& c) {
  std::vector<TensorDesc> xs;
  for (const int64_t channels : c.c_in) {
    xs.push_back(TensorDesc::activation(c.n, channels, c.extent));
  }
  return xs;
}

TensorDesc weights_of(const WinogradCase& c) {
  return TensorDesc::plain(c.c_out, sum(c.c_in), c.geometry.kernel);
}

TensorDesc output_of(const WinogradCase& c) {
  return TensorDesc::activation(c.n, c.c_out, conv_output_extent(c.geometry, c.extent, "test"));
}

std::string kernel_name(const OpCase& op_case) {
  return op_case.op
      ->prepare({op_case.inputs,
                 op_case.op->infer(op_case.inputs),
                 {best_isa(), false, op_case.convolution}})
      ->name();
}

void check_winograd(const OpCase& op_case) {
  EXPECT_NE(kernel_name(op_case).find("winograd"), std::string::npos) << kernel_name(op_case);
  check_op(op_case);
}

OpCase forward_case(const WinogradCase& c, Convolution convolution) {
  OpCase op_case;
  op_case.op = make_conv_op(ConvKind::conv, c.geometry);
  TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, c.c_out});
  if (!c.bias) bias.n = 0;
  op_case.inputs = {weights_of(c), bias};
  op_case.fills = {InputFill::parameter(), InputFill::parameter()};
  const std::vector<TensorDesc> xs = inputs_of(c);
  for (size_t i = 0; i < xs.size(); ++i) {
    op_case.inputs.push_back(xs[i]);
    op_case.fills.push_back(i < c.fills.size() ? c.fills[i] : InputFill{});
  }
  set_tolerance(op_case, convolution, c.geometry, static_cast<double>(sum(c.c_in)), false);
  op_case.description = c.description;
  return op_case;
}

OpCase data_gradient_case(const WinogradCase& c, Convolution convolution) {
  OpCase op_case;
  op_case.op = make_conv_data_gradient_op(ConvKind::conv, c.geometry, c.c_in, c.extent);
  op_case.inputs = {output_of(c), weights_of(c)};
  op_case.fills = {InputFill{}, InputFill::parameter()};
  for (size_t i = 0; c.c_in.size() > 1 && i < c.c_in.size(); ++i) {
    op_case.optional_outputs.push_back(static_cast<int>(i));
  }
  set_tolerance(op_case, convolution, c.geometry, static_cast<double>(c.c_out), false);
  op_case.description = c.description;
  return op_case;
}

OpCase weight_gradient_case(const WinogradCase& c, Convolution convolution) {
  OpCase op_case;
  op_case.op = make_conv_weight_gradient_op(ConvKind::conv, c.geometry, c.bias);
  op_case.inputs = {output_of(c)};
  op_case.fills = {InputFill{}};
  const std::vector<TensorDesc> xs = inputs_of(c);
  for (size_t i = 0; i < xs.size(); ++i) {
    op_case.inputs.push_back(xs[i]);
    op_case.fills.push_back(i < c.fills.size() ? c.fills[i] : InputFill{});
  }
  op_case.accumulating_outputs = {0};
  op_case.optional_outputs = {0};
  if (c.bias) {
    op_case.accumulating_outputs.push_back(1);
    op_case.optional_outputs.push_back(1);
  }
  // At most as many tiles as output voxels.
  set_tolerance(op_case, convolution, c.geometry,
                static_cast<double>(c.n * volume(output_of(c).extent)), true);
  op_case.description = c.description;
  return op_case;
}

void check_all_passes(const WinogradCase& c, Convolution convolution) {
  check_winograd(forward_case(c, convolution));
  check_winograd(data_gradient_case(c, convolution));
  check_winograd(weight_gradient_case(c, convolution));
}

class Winograd : public testing::TestWithParam<Convolution> {};

INSTANTIATE_TEST_SUITE_P(Tiles, Winograd,
                         testing::Values(Convolution::winograd2, Convolution::winograd24,
                                         Convolution::winograd4),
                         [](const testing::TestParamInfo<Convolution>& tile) {
                           return std::string(tile.param == Convolution::winograd2    ? "f222"
                                              : tile.param == Convolution::winograd24 ? "f244"
                                                                                      : "f444");
                         });

TEST_P(Winograd, keeps_the_operator_contract_for_every_extent) {
  check_all_passes({"odd", 1, {16}, 16, {5, 7, 9}}, GetParam());
  check_all_passes({"one voxel", 1, {16}, 16, {1, 1, 1}}, GetParam());
  check_all_passes({"one column", 2, {5}, 6, {1, 13, 1}}, GetParam());
  check_all_passes({"one row", 1, {16}, 17, {1, 1, 43}}, GetParam());
}

TEST_P(Winograd, keeps_the_operator_contract_for_every_channel_count) {
  check_all_passes({"ragged", 1, {5}, 20, {3, 4, 6}}, GetParam());
  check_all_passes({"three blocks without bias", 2, {40}, 33, {4, 3, 5}, {}, false}, GetParam());
}

TEST_P(Winograd, keeps_the_operator_contract_for_joined_and_transformed_inputs) {
  check_all_passes({"leaky beside plain values, n = 2",
                    2,
                    {17, 5, 16},
                    20,
                    {3, 5, 6},
                    {},
                    true,
                    {InputFill::through(0.1F), InputFill{}, InputFill::activated(0.0F)}},
                   GetParam());
}

TEST_P(Winograd, keeps_the_operator_contract_for_every_padding) {
  for (const int64_t padding : {0, 2}) {
    check_all_passes({"padding",
                      1,
                      {16},
                      5,
                      {4, 6, 5},
                      {{3, 3, 3}, {1, 1, 1}, {padding, padding, padding}, {1, 1, 1}},
                      true,
                      {InputFill::through(0.5F)}},
                     GetParam());
  }
}

TEST_P(Winograd, keeps_the_operator_contract_for_kernels_of_one_tap_along_d) {
  check_all_passes({"2-D, n = 2", 2, {20}, 17, {1, 15, 22}, kFlat}, GetParam());
  check_all_passes({"planes of a volume", 1, {16}, 16, {3, 6, 5}, kFlat}, GetParam());
}

TEST(WinogradOfFiveTaps, keeps_the_operator_contract) {
  for (const Convolution tile :
       {Convolution::winograd2, Convolution::winograd24, Convolution::winograd4}) {
    check_all_passes({"2-D, n = 2", 2, {20}, 17, {1, 15, 22}, kWide}, tile);
    check_all_passes({"one voxel", 1, {16}, 16, {1, 1, 1}, kWide}, tile);
    check_all_passes({"one row, joined, through a transform",
                      1,
                      {17, 5},
                      16,
                      {1, 1, 43},
                      kWide,
                      false,
                      {InputFill::through(0.1F), InputFill{}}},
                     tile);
    check_all_passes({"planes of a volume, no padding",
                      1,
                      {5},
                      20,
                      {3, 9, 11},
                      {{1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}},
                     tile);
    check_all_passes(
        {"all padding", 1, {16}, 5, {1, 6, 3}, {{1, 5, 5}, {1, 1, 1}, {0, 4, 4}, {1, 1, 1}}}, tile);
  }
}

TEST_P(Winograd, keeps_the_operator_contract_for_many_blocks_of_tiles) {
  check_all_passes({"several tasks", 1, {5}, 6, {21, 18, 17}}, GetParam());
}

/// A convolution whose Winograd kernel is the one that was not chosen by its shape: weights in
/// shared scratch instead of transformed anew for each block of tiles, or the other way round.
class OtherWinograd final : public Op {
 public:
  explicit OtherWinograd(std::shared_ptr<const Op> op) : op_(std::move(op)) {}
  [[nodiscard]] std::string name() const override { return op_->name(); }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return op_->infer(inputs);
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return op_->input_region(input, output_box, inputs);
  }
  [[nodiscard]] bool reads_through(int input) const override { return op_->reads_through(input); }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    const std::shared_ptr<const Kernel> chosen = op_->prepare(context);
    const Isa isa = context.target.isa;
    if (const auto* deep = dynamic_cast<const DeepWinogradKernel*>(chosen.get())) {
      return std::make_shared<WinogradCorrelationKernel>(deep->problem(), deep->tile(), isa, "");
    }
    if (const auto* kept = dynamic_cast<const WinogradCorrelationKernel*>(chosen.get())) {
      return std::make_shared<DeepWinogradKernel>(kept->problem(), kept->tile(), isa, "");
    }
    return chosen;
  }

 private:
  std::shared_ptr<const Op> op_;
};

/// The same with the kernel that the shape does not choose.
void check_other(OpCase op_case) {
  const std::string chosen = kernel_name(op_case);
  op_case.op = std::make_shared<OtherWinograd>(op_case.op);
  EXPECT_NE(kernel_name(op_case), chosen);
  check_op(op_case);
}

TEST_P(Winograd, kernels_that_the_shape_does_not_choose_keep_the_operator_contract_too) {
  check_other(forward_case({"odd", 1, {16}, 16, {5, 7, 9}}, GetParam()));
  check_other(data_gradient_case({"odd", 1, {20}, 16, {5, 7, 9}}, GetParam()));
  check_other(forward_case({"several tasks", 1, {5}, 6, {21, 18, 17}}, GetParam()));
  check_other(forward_case({"joined, transformed, n = 2",
                            2,
                            {17, 5},
                            20,
                            {3, 5, 6},
                            {},
                            true,
                            {InputFill::through(0.1F), InputFill{}}},
                           GetParam()));
  check_other(forward_case({"2-D", 1, {20}, 17, {1, 15, 22}, kFlat}, GetParam()));
}

TEST_P(Winograd, keeps_the_operator_contract_for_several_parts_and_chunks_of_channels) {
  const WinogradCase deep{"deep", 1, {70, 24}, 150, {4, 6, 5}};
  for (const OpCase& op_case :
       {forward_case(deep, GetParam()), data_gradient_case(deep, GetParam())}) {
    EXPECT_NE(kernel_name(op_case).find("deep_winograd"), std::string::npos);
    check_op(op_case);
  }
}

double relative_error(const TensorView& found, const TensorView& wanted) {
  const std::vector<double> a = to_plain(found);
  const std::vector<double> b = to_plain(wanted);
  double error = 0.0;
  double size = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(error / size);
}

/// The relative error of every pass of a 32 -> 32 convolution on standard normal data must not
/// exceed `bound`.
void expect_accuracy(const ConvGeometry& geometry, const Extent3& extent, Convolution tile,
                     double bound) {
  const TensorDesc x = TensorDesc::activation(1, 32, extent);
  const TensorDesc weights = TensorDesc::plain(32, 32, geometry.kernel);
  TensorDesc no_bias = TensorDesc::plain(1, 1, {1, 1, 32});
  no_bias.n = 0;
  const std::vector<std::pair<std::shared_ptr<const Op>, std::vector<TensorDesc>>> passes{
      {make_conv_op(ConvKind::conv, geometry), {weights, no_bias, x}},
      {make_conv_data_gradient_op(ConvKind::conv, geometry, {32}, x.extent), {x, weights}},
      {make_conv_weight_gradient_op(ConvKind::conv, geometry, false), {x, x}}};
  for (const auto& [op, inputs] : passes) {
    const std::vector<InputFill> fills(inputs.size());
    std::vector<TensorDesc> inputs64;
    for (const TensorDesc& desc : inputs) {
      inputs64.push_back(TensorDesc::plain(desc.n, desc.c, desc.extent, DType::f64));
    }
    const TestInputs memory64(inputs64, fills, 7);
    TestOutputs wanted(op->infer(inputs64));
    run_kernel(*op->prepare({inputs64, op->infer(inputs64), {}}), memory64.views(), wanted.views());
    const TestInputs memory(inputs, fills, 7);
    const std::vector<TensorDesc> outputs = op->infer(inputs);
    for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
      if (isa > best_isa()) continue;
      TestOutputs found(outputs);
      const auto kernel = op->prepare({inputs, outputs, Target{isa, false, tile}});
      run_kernel(*kernel, memory.views(), found.views());
      const double error = relative_error(found.views()[0].view, wanted.views()[0].view);
      EXPECT_LE(error, bound) << kernel->name();
      testing::Test::RecordProperty(kernel->name(), std::to_string(error * 1e6));
    }
  }
}

/// On standard normal data F(4,4,4) amplifies the root mean square of relative errors by
/// 2.1863^3 = 10.4; sums of 32 products within transforms of up to six terms on three axes, both
/// ways, round about as often as 32 + 54 independent roundings of at most 6e-8, 3.5e-8 in the root
/// mean square and half of them at half the size: 10.4 * 3.5e-8 * sqrt(86 / 2) = 2.4e-6.
TEST(WinogradAccuracy, relative_error_of_f444_stays_below_four_millionths) {
  expect_accuracy({}, {12, 12, 12}, Convolution::winograd4, 4e-6);
}

/// Eight points on two axes amplify by at most 6.0^2 = 36 (see amplification), in the root mean
/// square over a tile's outputs by about half of that; the same count of roundings gives
/// 18 * 3.5e-8 * sqrt(86 / 2) = 4.1e-6.
TEST(WinogradAccuracy, relative_error_of_five_taps_and_eight_points_stays_below_six_millionths) {
  expect_accuracy(kWide, {1, 40, 40}, Convolution::winograd24, 6e-6);
}

/// Ten points: 10.57^2 = 112 in the root mean square over a tile's outputs; 112 * 3.5e-8 *
/// sqrt(86 / 2) = 2.6e-5, of which about a third is found.
TEST(WinogradAccuracy, relative_error_of_five_taps_and_ten_points_stays_below_26_millionths) {
  expect_accuracy(kWide, {1, 42, 42}, Convolution::winograd4, 2.6e-5);
}

TEST(WinogradShape, tiles_are_chosen_by_shape) {
  const auto chosen = [](const Extent3& outputs, int64_t channels) {
    return choose_winograd_tile({1, outputs, {3, 3, 3}, channels, channels, false},
                                Convolution::best);
  };
  EXPECT_EQ(chosen({96, 96, 96}, 32), WinogradTile::f444);
  EXPECT_EQ(chosen({2, 96, 96}, 32), WinogradTile::f244) << "four planes would be half waste";
  EXPECT_EQ(chosen({6, 6, 6}, 256), WinogradTile::f222) << "larger tiles would be mostly waste";
  const auto deep = [](int64_t side, int64_t channels, WinogradTile tile) {
    return prefers_deep_winograd({1, {side, side, side}, {3, 3, 3}, channels, channels, false},
                                 tile);
  };
  EXPECT_TRUE(deep(12, 256, WinogradTile::f444)) << "56 MB of transformed weights";
  EXPECT_FALSE(deep(96, 32, WinogradTile::f444)) << "few weights, for many tiles";
  const WinogradWork flat{1, {1, 256, 256}, {1, 3, 3}, 32, 32, false};
  EXPECT_EQ(choose_winograd_tile(flat, Convolution::best), WinogradTile::f144);
  EXPECT_FALSE(choose_winograd_tile(flat, Convolution::direct));
  const WinogradWork wide{1, {1, 256, 256}, {1, 5, 5}, 32, 32, false};
  EXPECT_EQ(choose_winograd_tile(wide, Convolution::best), WinogradTile::f166k5);
  const WinogradWork small{1, {1, 16, 20}, {1, 5, 5}, 64, 64, false};
  EXPECT_EQ(choose_winograd_tile(small, Convolution::best), WinogradTile::f144k5)
      << "tiles of six would waste a quarter";
}

}  // namespace
}  // namespace wholemount
