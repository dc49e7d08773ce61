#pragma once

#include <memory>

#include "wholemount/graph/op.h"
#include "wholemount/ops/loss/segmentation_loss.h"

namespace wholemount {

/// The operators segmentation_loss() is made of. logits: [1, C, d, h, w] f32 (f64 in reference
/// runs), plain or blocked16; target: plain u8 [1, 1, d, h, w]; the rest is plain f64 of rows of C.

/// What the volume-sized operators know about their sample.
struct SegmentationSample {
  TargetKind target = TargetKind::regions;
  bool entropy = true;  ///< whether row `entropy` of the sums is wanted (else 0)
  /// classes: the truth q of the entropy and of p - q below: q_c = (1 - e) t_c + e / C.
  double label_smoothing = 0.0;
};

/// q = truth_scale * t + truth_floor.
[[nodiscard]] inline float truth_scale(const SegmentationSample& sample) {
  return static_cast<float>(1.0 - sample.label_smoothing);
}
[[nodiscard]] inline float truth_floor(const SegmentationSample& sample, int64_t channels) {
  return static_cast<float>(sample.label_smoothing / static_cast<double>(channels));
}

/// Rows of the sums; `voxels` repeats the number of voxels that are not ignored.
struct SegmentationSumRow {
  enum : int64_t {
    intersection = 0,  ///< I = sum p t
    predicted = 1,     ///< P = sum p
    truth = 2,         ///< T = sum t
    entropy = 3,       ///< cross entropy; classes: sum of -q_c log p_c
    voxels = 4,
    kNumRows = 5
  };
};

/// Rows of the coefficients of the gradient: dL/dp = a t + b from the sums; e weighs p - t.
struct SegmentationCoefficientRow {
  enum : int64_t { a = 0, b = 1, e = 2, kNumRows = 3 };
};

/// {logits, target} -> {sums [1, 5, 1x1xC], counts [1, 4, 1x1xC]}.
[[nodiscard]] std::shared_ptr<const Op> make_segmentation_sums_op(const SegmentationSample& sample);

/// The sample of a sums operator; nullptr when `op` is another one.
[[nodiscard]] const SegmentationSample* segmentation_sample(const Op& op);

/// {sums_0 ... sums_(S-1)} -> {loss [1, 1, 1x1x1], coefficients_0 ... [1, 3, 1x1xC]}.
[[nodiscard]] std::shared_ptr<const Op> make_segmentation_loss_op(const SegmentationLossSpec& spec);

/// {logits, target, coefficients} -> {grad_logits}:
/// regions grad = p (1 - p) (a t + b) + e (p - t);
/// classes grad_c = p_c (g_c - sum_k p_k g_k) + e (p_c - q_c) with g = a t + b;
/// 0 at ignored voxels.
[[nodiscard]] std::shared_ptr<const Op> make_segmentation_backward_op(
    const SegmentationSample& sample);

/// Shape errors common to the volume-sized operators.
void check_segmentation_inputs(const TensorDesc& logits, const TensorDesc& target,
                               const SegmentationSample& sample, const char* op);

}  // namespace wholemount
