#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "testing/op_contract.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/norm/norm_ops.h"

namespace wholemount {
namespace {

// The last two are cut into several slabs.
std::vector<TensorDesc> shapes() {
  return {TensorDesc::activation(1, 1, {1, 1, 1}),     TensorDesc::activation(1, 3, {3, 5, 7}),
          TensorDesc::activation(1, 5, {1, 1, 1}),     TensorDesc::activation(1, 16, {2, 9, 29}),
          TensorDesc::activation(1, 17, {5, 3, 7}),    TensorDesc::activation(1, 32, {1, 9, 31}),
          TensorDesc::activation(1, 2, {3, 401, 301}), TensorDesc::activation(1, 6, {3, 91, 101})};
}

TensorDesc channel_vector(int64_t channels) { return TensorDesc::plain(1, 1, {1, 1, channels}); }

TensorDesc huge(const TensorDesc& desc) {
  TensorDesc result = desc;
  result.extent = {int64_t{1} << 33, 3, 5};
  return result;
}

OpCase statistics_case(const NormSpec& spec, const std::vector<TensorDesc>& volumes,
                       const InputFill& fill) {
  OpCase op_case;
  op_case.op = make_norm_statistics_op(spec);
  const TensorDesc parameter = channel_vector(volumes.front().c);
  op_case.inputs = {parameter, parameter};
  op_case.huge_inputs = op_case.inputs;
  op_case.fills = {InputFill::parameter(), InputFill::parameter()};
  for (const TensorDesc& desc : volumes) {
    op_case.inputs.push_back(desc);
    op_case.huge_inputs.push_back(huge(desc));
    op_case.fills.push_back(fill);
  }
  op_case.whole_outputs = {0, 1, 2};
  if (spec.kind == NormKind::batch) {
    op_case.accumulating_outputs = {1, 2};
    op_case.optional_outputs = {1, 2};
  }
  // f32 sums run over at most 512 values; a shift is the difference of terms of its row's size.
  op_case.tolerance_terms = 512;
  op_case.tolerance_factor = 2;
  return op_case;
}

TEST(NormStatistics, keeps_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    NormSpec spec;
    check_op(statistics_case(spec, {desc}, InputFill{}));
    spec.kind = NormKind::group;
    spec.groups = desc.c % 2 == 0 ? 2 : 1;
    check_op(statistics_case(spec, {desc}, InputFill{}));
  }
}

TEST(NormStatistics, of_a_batch_of_several_extents_keeps_the_operator_contract) {
  for (const int64_t channels : {1, 3, 5, 17}) {
    NormSpec spec;
    spec.kind = NormKind::batch;
    const std::vector<TensorDesc> volumes{TensorDesc::activation(1, channels, {2, 67, 129}),
                                          TensorDesc::activation(1, channels, {1, 1, 1}),
                                          TensorDesc::activation(1, channels, {1, 5, 33})};
    OpCase op_case = statistics_case(spec, volumes, InputFill{});
    // Means of N values of size 1 nearly cancel: they keep the rounding of a typical mean, 1 /
    // sqrt(N).
    constexpr double kValues = 2 * 67 * 129 + 1 + 5 * 33;
    op_case.minimum_magnitude = 1.0 / std::sqrt(kValues);
    check_op(op_case);
  }
}

// Unshifted f32 sums of squares of 1e4 would lose the variance of 1e-4 altogether: the tolerance
// is relative to the rows, so it asks for the variance itself to 2 eps sqrt(512) = 5e-6.
TEST(NormStatistics, survive_a_mean_far_larger_than_the_deviation) {
  for (const TensorDesc& desc :
       {TensorDesc::activation(1, 3, {3, 41, 50}), TensorDesc::activation(1, 17, {3, 41, 50})}) {
    check_op(statistics_case(NormSpec{}, {desc}, InputFill::uniform(10000.0, 10000.03)));
  }
}

// A first voxel of 0 before values near 1e4, as zero padding makes it.
TEST(NormStatistics, survive_a_start_in_padding) {
  const TensorDesc desc = TensorDesc::activation(1, 1, {2, 40, 50});
  std::vector<double> values = fill_values(desc, InputFill::uniform(10000.0, 10001.0), 5);
  for (size_t i = 0; i < 30; ++i) {
    values[i] = 0.0;
  }
  check_op(statistics_case(NormSpec{}, {desc}, InputFill::of(values)));
}

TEST(NormFromMoments, keeps_the_operator_contract) {
  for (const NormKind kind : {NormKind::batch, NormKind::instance, NormKind::group}) {
    for (const int64_t channels : {1, 6, 17, 32}) {
      OpCase op_case;
      NormSpec spec;
      spec.kind = kind;
      spec.groups = channels % 2 == 0 ? 2 : 1;
      const std::vector<int64_t> num_values =
          kind == NormKind::batch ? std::vector<int64_t>{70, 1, 3000} : std::vector<int64_t>{70};
      op_case.op = make_norm_from_moments_op(spec, num_values);
      op_case.inputs.assign(2, channel_vector(channels));
      op_case.fills.assign(2, InputFill::parameter());
      InputFill moments = InputFill::uniform(1.0, 3000.0);
      moments.whole = true;
      for (size_t i = 0; i < num_values.size(); ++i) {
        op_case.inputs.push_back(moments_desc(channels));
        op_case.fills.push_back(moments);
      }
      op_case.huge_inputs = op_case.inputs;
      op_case.whole_outputs = {0, 1, 2};
      if (kind == NormKind::batch) {
        op_case.accumulating_outputs = {1, 2};
        op_case.optional_outputs = {1, 2};
      }
      // Everything in float64; a row is rounded once. A shift is a difference of terms of its
      // row's size.
      op_case.tolerance_factor = 2;
      check_op(op_case);
    }
  }
}

TEST(NormFromMoments, refuses_moments_of_other_channels) {
  const auto op = make_norm_from_moments_op({}, {8});
  EXPECT_THROW((void)op->infer(std::vector<TensorDesc>{channel_vector(20), channel_vector(20),
                                                       moments_desc(16)}),
               ShapeError);
}

TEST(NormFromMoving, keeps_the_operator_contract) {
  for (const int64_t channels : {1, 5, 17, 32}) {
    OpCase op_case;
    op_case.op = make_norm_from_moving_op(1e-3F);
    op_case.inputs.assign(4, channel_vector(channels));
    op_case.fills = {InputFill::parameter(), InputFill::parameter(), InputFill::parameter(),
                     InputFill::uniform(0.5, 2.0)};
    op_case.whole_outputs = {0};
    check_op(op_case);
  }
}

TEST(NormBackwardSums, keep_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    for (const float slope : {0.0F, 0.01F, 1.0F}) {
      OpCase op_case;
      op_case.op = make_norm_backward_sums_op(slope);
      op_case.inputs = {desc, desc, statistics_desc(desc.c)};
      op_case.fills = {InputFill{}, InputFill{}, InputFill::statistics(desc.c)};
      op_case.huge_inputs = {huge(desc), huge(desc), statistics_desc(desc.c)};
      op_case.whole_outputs = {0};
      // Random signs: a sum of V terms of size 1 is about sqrt(V), and so is its f32 error / eps.
      op_case.tolerance_terms = 512;
      op_case.minimum_magnitude = std::sqrt(static_cast<double>(volume(desc.extent)));
      check_op(op_case);
    }
  }
}

TEST(NormBackwardFold, keeps_the_operator_contract) {
  for (const auto& [channels, joined] : {std::pair<int64_t, int64_t>{1, 1}, {6, 3}, {17, 1}}) {
    const TensorDesc sums = TensorDesc::plain(1, 2, {1, 1, round_up(channels, 16)}, DType::f64);
    OpCase op_case;
    op_case.op = make_norm_backward_fold_op(100 * joined, joined);
    op_case.inputs = {channel_vector(channels), statistics_desc(channels), sums, sums};
    op_case.fills = {InputFill::parameter(), InputFill::statistics(channels),
                     InputFill::parameter(), InputFill::parameter()};
    op_case.accumulating_outputs = {1, 2};
    op_case.optional_outputs = {1, 2};
    op_case.whole_outputs = {0};
    check_op(op_case);
  }
}

TEST(NormBackwardApply, keeps_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    for (const bool has_gradient : {true, false}) {
      const TensorDesc rows = TensorDesc::plain(1, 3, {1, 1, round_up(desc.c, 16)});
      std::vector<double> coefficients = fill_values(rows, InputFill{}, 9);
      for (size_t i = 0; i < coefficients.size(); ++i) {
        if (static_cast<int64_t>(i) % rows.extent.w >= desc.c) {
          coefficients[i] = 0.0;
        }
      }
      InputFill coefficient_fill = InputFill::of(coefficients);
      coefficient_fill.whole = true;
      TensorDesc absent;
      absent.n = 0;
      OpCase op_case;
      op_case.op = make_norm_backward_apply_op(0.01F);
      op_case.inputs = {desc, has_gradient ? desc : absent, statistics_desc(desc.c), rows};
      op_case.fills = {InputFill{}, InputFill{}, InputFill::statistics(desc.c), coefficient_fill};
      op_case.huge_inputs = {huge(desc), has_gradient ? huge(desc) : absent,
                             statistics_desc(desc.c), rows};
      op_case.tolerance_terms = 4;
      check_op(op_case);
    }
  }
}

}  // namespace
}  // namespace wholemount
