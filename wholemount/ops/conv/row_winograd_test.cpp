#include <gtest/gtest.h>

#include <cmath>

#include "testing/fill.h"
#include "testing/kernel_run.h"
#include "testing/op_contract.h"
#include "wholemount/ops/conv/convolution_ops.h"
#include "wholemount/ops/conv/row_winograd_shape.h"

namespace wholemount {
namespace {

struct RowCase {
  const char* description = "";
  int64_t n = 1;
  int64_t c_in = 3;
  int64_t c_out = 16;
  Extent3 extent;
  ConvGeometry geometry;
  bool bias = true;
  InputFill fill = {};
};

constexpr ConvGeometry kWide{{1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}};
constexpr ConvGeometry kDeep{{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};

constexpr Convolution kTiles[] = {Convolution::winograd2, Convolution::winograd24,
                                  Convolution::winograd4};

/// How much the transforms along w amplify independent relative errors, see winograd_test.cpp:
/// tiles of 2, 4 and 6 outputs for three and five taps.
double amplification(Convolution tile, int64_t taps, bool weight_gradient) {
  if (taps == 3) {
    if (tile == Convolution::winograd2) return weight_gradient ? 1.4143 : 1.2910;
    return weight_gradient ? 2.5612 : 2.8602;
  }
  if (tile == Convolution::winograd2) return weight_gradient ? 3.3750 : 2.4152;
  if (tile == Convolution::winograd24) return weight_gradient ? 5.9953 : 5.4548;
  return weight_gradient ? 14.5914 : 15.8573;
}

/// As in winograd_test.cpp: sums of `terms` products, and three transforms of up to ten terms
/// around them, round independently; four standard deviations are granted. Errors are those of an
/// output away from the padding, which is a sum of `taps_of_output` products of variance 1.
void set_tolerance(OpCase& op_case, Convolution tile, int64_t taps, double terms,
                   double taps_of_output, bool weight_gradient) {
  op_case.tolerance_factor = 2.0 * amplification(tile, taps, weight_gradient);
  op_case.tolerance_terms = terms + 3.0 * 10.0;
  op_case.minimum_magnitude = std::sqrt(taps_of_output);
  op_case.convolution = tile;
}

std::string kernel_name(const OpCase& op_case) {
  return op_case.op
      ->prepare({op_case.inputs,
                 op_case.op->infer(op_case.inputs),
                 {best_isa(), false, op_case.convolution}})
      ->name();
}

void check_row_winograd(const OpCase& op_case) {
  EXPECT_NE(kernel_name(op_case).find("row_winograd"), std::string::npos) << kernel_name(op_case);
  check_op(op_case);
}

void check_forward(const RowCase& c, Convolution tile) {
  OpCase op_case;
  op_case.op = make_conv_op(ConvKind::conv, c.geometry);
  TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, c.c_out});
  if (!c.bias) bias.n = 0;
  op_case.inputs = {TensorDesc::plain(c.c_out, c.c_in, c.geometry.kernel), bias,
                    TensorDesc::activation(c.n, c.c_in, c.extent)};
  op_case.fills = {InputFill::parameter(), InputFill::parameter(), c.fill};
  const auto sum = static_cast<double>(volume(c.geometry.kernel) * c.c_in);
  set_tolerance(op_case, tile, c.geometry.kernel.w, sum / static_cast<double>(c.geometry.kernel.w),
                sum, false);
  op_case.description = c.description;
  check_row_winograd(op_case);
}

/// Of a convolution from `c_out` to `c_in` channels: gathers its planar gradient.
void check_data_gradient(const RowCase& c, Convolution tile) {
  OpCase op_case;
  op_case.op = make_conv_data_gradient_op(ConvKind::conv, c.geometry, {c.c_out}, c.extent);
  const Extent3 y = conv_output_extent(c.geometry, c.extent, "test");
  op_case.inputs = {TensorDesc::activation(c.n, c.c_in, y),
                    TensorDesc::plain(c.c_in, c.c_out, c.geometry.kernel)};
  op_case.fills = {InputFill{}, InputFill::parameter()};
  const auto sum = static_cast<double>(volume(c.geometry.kernel) * c.c_in);
  set_tolerance(op_case, tile, c.geometry.kernel.w, sum / static_cast<double>(c.geometry.kernel.w),
                sum, false);
  op_case.description = c.description;
  check_row_winograd(op_case);
}

void check_weight_gradient(const RowCase& c, Convolution tile) {
  OpCase op_case;
  op_case.op = make_conv_weight_gradient_op(ConvKind::conv, c.geometry, c.bias);
  const TensorDesc y =
      TensorDesc::activation(c.n, c.c_out, conv_output_extent(c.geometry, c.extent, "test"));
  op_case.inputs = {y, TensorDesc::activation(c.n, c.c_in, c.extent)};
  op_case.fills = {InputFill{}, c.fill};
  op_case.accumulating_outputs = {0};
  op_case.optional_outputs = {0};
  if (c.bias) {
    op_case.accumulating_outputs.push_back(1);
    op_case.optional_outputs.push_back(1);
  }
  // At most as many tiles as output voxels.
  const auto voxels = static_cast<double>(c.n * volume(y.extent));
  set_tolerance(op_case, tile, c.geometry.kernel.w, voxels, voxels, true);
  op_case.description = c.description;
  check_row_winograd(op_case);
}

void check_all(const RowCase& c) {
  for (const Convolution tile : kTiles) {
    check_forward(c, tile);
    check_weight_gradient(c, tile);
    if (c.geometry.stride == Extent3{1, 1, 1}) check_data_gradient(c, tile);
  }
}

TEST(RowWinograd, keeps_the_operator_contract_for_every_extent) {
  check_all({"2-D, n = 2", 2, 3, 16, {1, 15, 43}, kWide});
  check_all({"one voxel", 1, 3, 16, {1, 1, 1}, kWide});
  check_all({"one column", 1, 3, 16, {1, 13, 1}, kWide});
  check_all({"several bands, blocks of tiles", 1, 1, 5, {1, 70, 81}, kWide});
  const RowCase strips{"several strips", 1, 4, 5, {1, 6, 1600}, kWide};
  check_forward(strips, Convolution::winograd4);
  check_weight_gradient(strips, Convolution::winograd4);
  check_all({"3-D", 1, 1, 16, {5, 7, 9}, kDeep});
  check_all({"3-D, several blocks of tiles", 1, 2, 16, {3, 5, 31}, kDeep});
  check_all({"several slabs and bands", 1, 1, 5, {19, 37, 11}, kDeep});
}

TEST(RowWinograd, keeps_the_operator_contract_for_every_channel_count) {
  for (int64_t channels = 1; channels <= 4; ++channels) {
    check_all({"ragged", 1, channels, 33, {1, 6, 14}, kWide, channels % 2 == 0});
    check_all({"ragged, 3-D", 2, channels, 6, {3, 5, 13}, kDeep, channels % 2 == 0});
  }
}

TEST(RowWinograd, keeps_the_operator_contract_for_transformed_inputs) {
  check_all({"leaky", 1, 3, 16, {1, 9, 40}, kWide, true, InputFill::through(0.1F)});
  check_all({"rectified", 1, 2, 16, {4, 6, 7}, kDeep, true, InputFill::activated(0.0F)});
}

TEST(RowWinograd, keeps_the_operator_contract_for_every_kernel_it_takes) {
  for (const int64_t padding : {0, 1, 4}) {
    check_all({"padding of 5x5",
               1,
               3,
               16,
               {1, 9, 13},
               {{1, 5, 5}, {1, 1, 1}, {0, padding, padding}, {1, 1, 1}}});
  }
  check_all({"3x5", 1, 3, 16, {1, 9, 13}, {{1, 3, 5}, {1, 1, 1}, {0, 1, 2}, {1, 1, 1}}});
  check_all({"2x5x3", 1, 2, 16, {4, 9, 13}, {{2, 5, 3}, {1, 1, 1}, {0, 2, 1}, {1, 1, 1}}});
  check_all({"planes of a volume", 1, 3, 16, {3, 9, 11}, kWide});
  check_all({"dilated along d", 1, 1, 16, {7, 6, 9}, {{3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {2, 1, 1}}});
  check_all({"stride along d", 1, 1, 16, {9, 6, 9}, {{3, 3, 3}, {2, 1, 1}, {1, 1, 1}, {1, 1, 1}}});
  check_all({"stride along d beyond the kernel",
             1,
             3,
             16,
             {9, 6, 9},
             {{1, 5, 5}, {3, 1, 1}, {0, 2, 2}, {1, 1, 1}}});
}

TEST(RowWinogradShape, tiles_are_chosen_by_shape) {
  const auto chosen = [](const ConvGeometry& geometry, const Extent3& extent, int64_t channels,
                         Convolution asked) {
    const CorrelationGeometry g =
        forward_correlation(geometry, extent, conv_output_extent(geometry, extent, "test"));
    const auto shape = choose_row_tile(g, channels, asked);
    return shape ? shape->name() : std::string("direct");
  };
  EXPECT_EQ(chosen(kWide, {1, 1024, 1280}, 3, Convolution::best), "f6k5");
  EXPECT_EQ(chosen(kWide, {1, 16, 20}, 3, Convolution::best), "f4k5") << "a sixth would be waste";
  EXPECT_EQ(chosen(kWide, {1, 1024, 1280}, 3, Convolution::direct), "direct");
  EXPECT_EQ(chosen(kDeep, {96, 96, 96}, 1, Convolution::best), "direct")
      << "nine products a point do not pay for the transforms";
}

}  // namespace
}  // namespace wholemount
