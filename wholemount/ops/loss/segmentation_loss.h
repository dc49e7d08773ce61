#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// What the u8 target of a segmentation means.
enum class TargetKind : uint8_t {
  regions,  ///< p = sigmoid(x), one output per region, 1 to 7; bit r of the target is region r
  classes,  ///< p = softmax(x), 2 to 255 outputs; the target is the class. A target that is no
            ///< class (>= C) is ignored too.
};

/// Over the voxels that are not ignored, per channel: I = sum p t, P = sum p, T = sum t.
enum class LossName : uint8_t {
  dice,      ///< 1 - (2 I + s0) / (P + T + s1)
  log_dice,  ///< -log(2 (I + s0)) + log(P + T + s1): paper A (it can be negative)
  bce,       ///< regions: mean over voxels and channels of -t log p - (1 - t) log(1 - p)
  ce,        ///< classes: mean over voxels of -log p of the true class
};

/// One term of a loss; Dice terms are the mean over the channels that take part.
struct LossTerm {
  LossName name = LossName::dice;
  double weight = 1.0;
  /// Joins the samples of the update before the formula: I, P, T are means over the samples (paper
  /// A's batch-pooled Dice), bce and ce means over the voxels of all samples.
  bool pooled = false;
  double smooth_numerator = 1.0;    ///< s0 >= 0; > 0 for log_dice
  double smooth_denominator = 1.0;  ///< s1 >= 0; > 0 for log_dice. Dice of nothing (0 / 0) is 1.
  bool include_background = false;  ///< classes: whether class 0 takes part in Dice
  /// ce: e in [0, 1); the truth is then (1 - e) of the voxel's class plus e / C of every class.
  double label_smoothing = 0.0;
};

/// The weighted sum of its terms.
struct SegmentationLossSpec {
  TargetKind target = TargetKind::regions;
  std::vector<LossTerm> terms;
};

/// Plain f64 values, kept after the run.
struct SegmentationLossValues {
  /// One element each: one per sample; a single one, the mean over the samples, when a term is
  /// pooled.
  std::vector<ValueId> losses;
  /// Per sample [1, 4, 1x1xC]: per channel the voxels decided and true, decided, true, and not
  /// ignored. Decided is logit > 0 (regions), or the first largest logit (classes).
  std::vector<ValueId> counts;
  /// Per sample [1, 5, 1x1xC]: the sums over probabilities the terms are made of, rows as in
  /// SegmentationSumRow (segmentation_ops.h). Not kept unless the caller does.
  std::vector<ValueId> sums;
};

/// Rows of SegmentationLossValues::counts.
struct SegmentationCountRow {
  enum : int64_t { intersection = 0, predicted = 1, truth = 2, voxels = 3, kNumRows = 4 };
};

/// Adds a segmentation loss. Per sample of the graph: logits [1, C, d, h, w], a plain u8 target
/// [1, 1, d, h, w]. Voxels whose target is kIgnoreTarget (tensor/target.h: padding, unlabelled
/// voxels) are left out of loss and counts and get gradient 0. A sample all of whose voxels are
/// ignored has loss 0 and gradient 0; where terms are pooled it joins with sums of 0.
///
/// Differentiated, each loss seeds its gradient with 1 and the optimiser divides the sum by the
/// number of samples; the single joint loss, a mean over S samples, therefore seeds with S.
/// Probabilities are recomputed from the logits, never stored: memory is O(C) per sample beside
/// the gradient of the logits. Sums are f32 over at most 4,096 voxels, then f64 in a fixed order.
///
/// Worked number: one voxel, one region, x = 0, t = 1, dice with s0 = s1 = 1: p = 0.5,
/// 1 - (2 * 0.5 + 1) / (0.5 + 1 + 1) = 0.2.
///
/// Throws ConfigError (terms) and ShapeError (counts of samples, channels, extents).
SegmentationLossValues segmentation_loss(GraphBuilder& builder, const SegmentationLossSpec& spec,
                                         std::span<const ValueId> logits,
                                         std::span<const ValueId> targets, const std::string& name);

}  // namespace wholemount
