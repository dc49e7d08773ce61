#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "testing/kernel_run.h"
#include "testing/op_contract.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

/// Convolutions that sum the moments of their output (Op::with_moments).
struct MomentsCase {
  const char* description = "";
  std::vector<int64_t> c_in;
  int64_t c_out = 16;
  Extent3 extent;
  ConvGeometry geometry = {};
};

constexpr ConvGeometry kFlat{{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
constexpr ConvGeometry kWide{{1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}};
constexpr ConvGeometry kDilated{{3, 3, 3}, {1, 1, 1}, {2, 2, 2}, {2, 2, 2}};

std::vector<TensorDesc> inputs_of(const MomentsCase& c) {
  int64_t channels = 0;
  for (const int64_t one : c.c_in) channels += one;
  std::vector<TensorDesc> inputs{TensorDesc::plain(c.c_out, channels, c.geometry.kernel),
                                 TensorDesc::plain(1, 1, {1, 1, c.c_out})};
  for (const int64_t one : c.c_in) inputs.push_back(TensorDesc::activation(1, one, c.extent));
  return inputs;
}

std::shared_ptr<const Op> op_of(const MomentsCase& c) {
  return make_conv_op(ConvKind::conv, c.geometry)->with_moments(inputs_of(c));
}

void check_moments(const MomentsCase& c, Convolution convolution) {
  OpCase op_case;
  op_case.op = op_of(c);
  ASSERT_NE(op_case.op, nullptr) << c.description;
  op_case.inputs = inputs_of(c);
  op_case.huge_inputs = op_case.inputs;
  op_case.fills = {InputFill::parameter(), InputFill::parameter()};
  for (size_t i = 2; i < op_case.inputs.size(); ++i) {
    op_case.fills.push_back(i % 2 == 0 ? InputFill::through(0.1F) : InputFill{});
    op_case.huge_inputs[i].extent.d = int64_t{1} << 33;
  }
  op_case.optional_outputs = {1};
  op_case.whole_outputs = {1};
  // The outputs' own errors weigh most: see winograd_test.cpp, here with the most of all tiles,
  // 15.86^2. A mean that cancels keeps the error of an output.
  const auto terms = static_cast<double>(op_case.inputs[0].c * volume(c.geometry.kernel));
  op_case.tolerance_terms = terms + 90.0;
  op_case.tolerance_factor = convolution == Convolution::direct ? 8.0 : 503.0;
  op_case.minimum_magnitude = std::sqrt(terms);
  op_case.convolution = convolution;
  op_case.description = c.description;
  check_op(op_case);
}

TEST(ConvMoments, keep_the_operator_contract) {
  const Convolution direct = Convolution::direct;
  check_moments({"ragged blocks", {24}, 20, {3, 5, 4}}, direct);
  check_moments({"slabs", {16}, 5, {17, 4, 9}}, direct);
  check_moments({"in bands", {20}, 17, {1, 40, 21}, kWide}, direct);
  check_moments({"dilated", {8}, 33, {5, 6, 7}, kDilated}, direct);
  check_moments({"rows of one voxel", {16}, 16, {7, 5, 1}}, direct);
  check_moments({"of an image", {3}, 20, {5, 6, 37}}, direct);
  check_moments({"of an image and more", {2, 20}, 40, {3, 6, 7}}, direct);
  for (const Convolution tile :
       {Convolution::winograd2, Convolution::winograd24, Convolution::winograd4}) {
    check_moments({"tiles cut off", {17}, 24, {5, 6, 11}}, tile);
    check_moments({"one row", {16}, 16, {1, 1, 7}}, tile);
    check_moments({"one plane, two inputs", {16, 5}, 40, {1, 9, 21}, kFlat}, tile);
    check_moments({"wide", {16}, 20, {1, 13, 15}, kWide}, tile);
    check_moments({"of an image", {1}, 20, {3, 6, 29}}, tile);
    check_moments({"of a flat image", {3}, 24, {1, 9, 21}, kWide}, tile);
  }
  check_moments({"pieces within a row, several tasks", {16}, 24, {6, 9, 150}},
                Convolution::winograd4);
  // A kernel as large as the image has more than one output with padding.
  check_moments({"tiny", {16}, 16, {2, 2, 2}}, Convolution::best);
}

/// What a kernel stored, and the moments it found.
struct Stored {
  std::vector<double> y;
  std::vector<double> moments;
};

Stored run_conv(const Op& op, const std::vector<TensorDesc>& inputs, const Target& target,
                const std::vector<InputFill>& fills) {
  const std::vector<TensorDesc> outputs = op.infer(inputs);
  const TestInputs memory(inputs, fills, 7);
  TestOutputs found(outputs);
  run_kernel(*op.prepare({inputs, outputs, target}), memory.views(), found.views());
  Stored stored;
  stored.y = to_plain(found.views()[0].view);
  if (outputs.size() > 1) stored.moments = to_plain(found.views()[1].view);
  return stored;
}

std::vector<Target> targets() {
  std::vector<Target> result;
  for (const Convolution kind :
       {Convolution::direct, Convolution::winograd2, Convolution::winograd4}) {
    for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
      if (isa <= best_isa()) result.push_back({isa, false, kind});
    }
  }
  return result;
}

TEST(ConvMoments, leave_the_bits_of_the_output_as_they_are) {
  const std::vector<InputFill> fills{InputFill::parameter(), InputFill::parameter(), InputFill{}};
  for (const int64_t channels : {20, 2}) {
    const MomentsCase c{"", {channels}, 24, {6, 9, 21}};
    for (const Target& target : targets()) {
      const Stored with = run_conv(*op_of(c), inputs_of(c), target, fills);
      const Stored without =
          run_conv(*make_conv_op(ConvKind::conv, c.geometry), inputs_of(c), target, fills);
      EXPECT_EQ(with.y, without.y) << isa_name(target.isa);
    }
  }
}

/// The bias, and with it the mean, is `offset` deviations of the output.
void check_stored_moments(const MomentsCase& c, double offset) {
  const auto voxels = static_cast<size_t>(volume(c.extent));
  const auto channels = static_cast<size_t>(c.c_out);
  const auto lanes = static_cast<size_t>(round_up(c.c_out, 16));
  const double bias = offset * std::sqrt(27.0 * static_cast<double>(c.c_in.front()));
  const std::vector<InputFill> fills{InputFill::parameter(), InputFill::uniform(bias, bias + 1.0),
                                     InputFill{}};
  for (const Target& target : targets()) {
    const Stored found = run_conv(*op_of(c), inputs_of(c), target, fills);
    for (size_t channel = 0; channel < channels; ++channel) {
      const double* y = found.y.data() + channel * voxels;
      double mean = 0.0;
      for (size_t i = 0; i < voxels; ++i) mean += y[i];
      mean /= static_cast<double>(voxels);
      double m2 = 0.0;
      for (size_t i = 0; i < voxels; ++i) m2 += (y[i] - mean) * (y[i] - mean);
      const double spread = std::sqrt(m2 / static_cast<double>(voxels));
      EXPECT_NEAR(found.moments[channel], mean, 5e-6 * spread) << isa_name(target.isa);
      EXPECT_NEAR(found.moments[lanes + channel], m2, 5e-6 * m2) << isa_name(target.isa);
    }
    for (size_t lane = channels; lane < lanes; ++lane) {
      EXPECT_EQ(found.moments[lane], 0.0);
      EXPECT_EQ(found.moments[lanes + lane], 0.0);
    }
  }
}

// Against two passes in float64 over what was stored. Sums in chains of at most 80 float32
// additions, then float64: an error of 2 eps sqrt(512) = 5e-6, as norm_contract_test.cpp asks of
// the statistics that read the volume, even where the mean, here the bias, is 1e4 deviations. Where
// the first voxel of each piece lies in the padding, its distance from the mean weighs, too.
TEST(ConvMoments,
     are_those_of_the_stored_output_also_when_the_mean_is_far_larger_than_the_deviation) {
  for (const int64_t channels : {16, 2}) {
    for (const double offset : {0.0, 1e4}) {
      check_stored_moments({"", {channels}, 20, {9, 13, 70}}, offset);
    }
  }
}

TEST(ConvMoments, are_offered_where_the_kernels_of_the_shape_can_sum_them) {
  const auto offered = [](const MomentsCase& c) { return op_of(c) != nullptr; };
  const ConvGeometry one{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  const ConvGeometry strided{{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
  const ConvGeometry whole{{4, 4, 4}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  EXPECT_TRUE(offered({"", {16}, 16, {4, 4, 4}}));
  EXPECT_TRUE(offered({"", {16, 8}, 5, {4, 4, 4}}));
  EXPECT_TRUE(offered({"", {16, 3}, 16, {4, 4, 4}}));
  EXPECT_FALSE(offered({"", {16}, 4, {4, 4, 4}}));
  EXPECT_FALSE(offered({"", {16}, 16, {4, 4, 4}, one}));
  EXPECT_FALSE(offered({"", {16}, 16, {4, 4, 4}, strided}));
  EXPECT_FALSE(offered({"", {16}, 16, {4, 4, 4}, whole}));
  std::vector<TensorDesc> two = inputs_of({"", {16}, 16, {4, 4, 4}});
  two[2].n = 2;
  EXPECT_EQ(make_conv_op(ConvKind::conv, {})->with_moments(two), nullptr);
}

}  // namespace
}  // namespace wholemount
