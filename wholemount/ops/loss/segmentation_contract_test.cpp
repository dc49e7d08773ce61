#include <gtest/gtest.h>

#include <cmath>

#include "testing/op_contract.h"
#include "wholemount/ops/loss/segmentation_ops.h"
#include "wholemount/tensor/target.h"

namespace wholemount {
namespace {

struct Shape {
  int64_t channels;
  Extent3 extent;
};

// Single voxels, tails of every kind, several slabs, long rows, the most channels.
std::vector<Shape> shapes(TargetKind kind) {
  const bool regions = kind == TargetKind::regions;
  return {{regions ? 1 : 2, {1, 1, 1}},
          {regions ? 1 : 3, {3, 5, 16}},
          {regions ? 3 : 4, {3, 111, 237}},
          {regions ? 5 : 17, {2, 5, 7}},
          {regions ? 7 : 40, {3, 41, 39}},
          {regions ? 7 : 255, {1, 3, 19}},
          {2, {1, 3, 5000}},
          {regions ? 1 : 2, {7, 131, 99}},
          {regions ? 6 : 5, {1, 301, 50}}};
}

// Every fifth voxel of the first third and all of the last third are to be ignored, and so is the
// label one beyond the classes. Voxel 0 counts.
InputFill target_fill(TargetKind kind, int64_t channels, const TensorDesc& target) {
  const InputFill labels = kind == TargetKind::regions ? InputFill::bit_masks(channels)
                                                       : InputFill::classes(channels + 1);
  std::vector<double> values = fill_values(target, labels, 5);
  const size_t third = values.size() / 3;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i < third ? i % 5 == 4 : i >= values.size() - third) {
      values[i] = kIgnoreTarget;
    }
  }
  return InputFill::of(values);
}

TensorDesc huge(const TensorDesc& desc) {
  TensorDesc result = desc;
  result.extent = {int64_t{1} << 33, 301, 5000};
  return result;
}

TEST(SegmentationSums, keep_the_operator_contract) {
  for (const TargetKind kind : {TargetKind::regions, TargetKind::classes}) {
    for (const Shape& shape : shapes(kind)) {
      for (const bool entropy : {true, false}) {
        OpCase op_case;
        op_case.op =
            make_segmentation_sums_op({kind, entropy, shape.channels % 2 == 0 ? 0.1 : 0.0});
        const TensorDesc logits = TensorDesc::activation(1, shape.channels, shape.extent);
        const TensorDesc target = TensorDesc::plain(1, 1, shape.extent, DType::u8);
        op_case.inputs = {logits, target};
        op_case.fills = {InputFill::uniform(-9.0, 9.0), target_fill(kind, shape.channels, target)};
        op_case.huge_inputs = {huge(logits), huge(target)};
        op_case.optional_outputs = {1};
        op_case.whole_outputs = {0, 1};
        // A term is a few f32 operations off; a lane sums at most 256 terms.
        op_case.tolerance_terms = 256;
        op_case.tolerance_factor = 1;
        // -log p of a nearly certain class is log(1 + tiny): rounded relative to 1. The other rows
        // are held to the tighter bound by the cases without entropy.
        op_case.minimum_magnitude = kind == TargetKind::classes && entropy ? 1.0 : 0.0;
        check_op(op_case);
      }
    }
  }
}

TEST(SegmentationBackward, keeps_the_operator_contract) {
  for (const TargetKind kind : {TargetKind::regions, TargetKind::classes}) {
    for (const Shape& shape : shapes(kind)) {
      OpCase op_case;
      op_case.op = make_segmentation_backward_op({kind, true, shape.channels % 2 == 0 ? 0.1 : 0.0});
      const TensorDesc logits = TensorDesc::activation(1, shape.channels, shape.extent);
      const TensorDesc target = TensorDesc::plain(1, 1, shape.extent, DType::u8);
      const TensorDesc coefficients = TensorDesc::plain(1, 3, {1, 1, shape.channels}, DType::f64);
      op_case.inputs = {logits, target, coefficients};
      InputFill rows = InputFill::uniform(0.25, 2.0);
      rows.whole = true;
      // The weight of the voxel term is the same for all channels.
      std::vector<double> values = fill_values(coefficients, rows, 3);
      for (int64_t c = 1; c < shape.channels; ++c) {
        values[static_cast<size_t>(2 * shape.channels + c)] =
            values[static_cast<size_t>(2 * shape.channels)];
      }
      rows = InputFill::of(values);
      rows.whole = true;
      op_case.fills = {InputFill::uniform(-9.0, 9.0), target_fill(kind, shape.channels, target),
                       rows};
      op_case.huge_inputs = {huge(logits), huge(target), coefficients};
      // Softmax adds up the channels; an error of p is relative to 1 where p - t cancels.
      op_case.tolerance_terms = static_cast<double>(shape.channels);
      op_case.minimum_magnitude = 1.0;
      check_op(op_case);
    }
  }
}

TEST(SegmentationTerms, keep_the_operator_contract) {
  LossTerm dice;
  LossTerm bce;
  bce.name = LossName::bce;
  for (const bool pooled : {false, true}) {
    dice.pooled = pooled;
    const TensorDesc sums =
        TensorDesc::plain(1, SegmentationSumRow::kNumRows, {1, 1, 3}, DType::f64);
    InputFill positive = InputFill::uniform(1.0, 9.0);
    positive.whole = true;
    OpCase op_case;
    op_case.op = make_segmentation_loss_op({TargetKind::regions, {dice, bce}});
    op_case.inputs = {sums, sums};
    op_case.fills = {positive, positive};
    op_case.optional_outputs = {0, 1, 2};
    op_case.whole_outputs = {1, 2};
    check_op(op_case);
  }
}

}  // namespace
}  // namespace wholemount
