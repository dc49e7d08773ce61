#include <gtest/gtest.h>

#include <cmath>

#include "testing/op_contract.h"
#include "wholemount/ops/loss/segmentation_ops.h"

namespace wholemount {
namespace {

struct Shape {
  int64_t channels;
  Extent3 extent;
  Box3 valid;
};

// Single voxels, tails of every kind, boxes inside the volume, several slabs, long rows.
std::vector<Shape> shapes(TargetKind kind) {
  const bool regions = kind == TargetKind::regions;
  const auto whole = [](int64_t c, const Extent3& extent) {
    return Shape{c, extent, whole_box(extent)};
  };
  return {whole(regions ? 1 : 2, {1, 1, 1}),
          whole(regions ? 1 : 3, {3, 5, 16}),
          whole(regions ? 3 : 4, {3, 111, 237}),
          whole(regions ? 5 : 17, {2, 5, 7}),
          whole(regions ? 8 : 40, {3, 41, 39}),
          whole(2, {1, 3, 5000}),
          {regions ? 1 : 2, {7, 131, 99}, {{1, 5, 3}, {5, 130, 90}}},
          {regions ? 6 : 5, {1, 301, 50}, {{0, 7, 0}, {1, 290, 50}}},
          {2, {3, 4, 5}, Box3{}}};
}

// Labels beyond the classes are to be ignored, so some are there.
InputFill target_fill(TargetKind kind, int64_t channels) {
  return kind == TargetKind::regions ? InputFill::bit_masks(channels)
                                     : InputFill::classes(channels + 1);
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
        op_case.op = make_segmentation_sums_op({kind, shape.valid, entropy});
        const TensorDesc logits = TensorDesc::activation(1, shape.channels, shape.extent);
        const TensorDesc target = TensorDesc::plain(1, 1, shape.extent, DType::u8);
        op_case.inputs = {logits, target};
        op_case.fills = {InputFill::uniform(-9.0, 9.0), target_fill(kind, shape.channels)};
        op_case.huge_inputs = {huge(logits), huge(target)};
        op_case.optional_outputs = {1};
        op_case.whole_outputs = {0, 1};
        // A term is a few f32 operations off; a lane sums at most 256 terms.
        op_case.tolerance_terms = 256;
        op_case.tolerance_factor = 1;
        check_op(op_case);
      }
    }
  }
}

TEST(SegmentationBackward, keeps_the_operator_contract) {
  for (const TargetKind kind : {TargetKind::regions, TargetKind::classes}) {
    for (const Shape& shape : shapes(kind)) {
      OpCase op_case;
      op_case.op = make_segmentation_backward_op({kind, shape.valid, true});
      const TensorDesc logits = TensorDesc::activation(1, shape.channels, shape.extent);
      const TensorDesc target = TensorDesc::plain(1, 1, shape.extent, DType::u8);
      const TensorDesc coefficients =
          TensorDesc::plain(1, 3, {1, 1, shape.channels}, DType::f64);
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
      op_case.fills = {InputFill::uniform(-9.0, 9.0), target_fill(kind, shape.channels), rows};
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
