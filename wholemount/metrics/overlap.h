#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wholemount/metrics/label_coding.h"
#include "wholemount/tensor/extent3.h"
#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// How the voxels of one label agree: true and false positives and negatives.
struct OverlapCounts {
  int64_t tp = 0;
  int64_t fp = 0;
  int64_t fn = 0;
  int64_t tn = 0;
  friend bool operator==(const OverlapCounts&, const OverlapCounts&) = default;
  OverlapCounts& operator+=(const OverlapCounts& other);
  [[nodiscard]] int64_t predicted() const { return tp + fp; }
  [[nodiscard]] int64_t reference() const { return tp + fn; }
  [[nodiscard]] int64_t total() const { return tp + fp + fn + tn; }
};

// Hard metrics of one label. A ratio whose denominator is 0 is undefined and has no value (JSON
// null): Dice of a case where neither prediction nor reference holds the label is not 1 and not 0,
// and means leave it out, as nnU-Net's evaluation does.

/// 2 tp / (2 tp + fp + fn)
[[nodiscard]] std::optional<double> dice(const OverlapCounts& counts);
/// tp / (tp + fp + fn)
[[nodiscard]] std::optional<double> iou(const OverlapCounts& counts);
/// tp / (tp + fn), also called recall
[[nodiscard]] std::optional<double> sensitivity(const OverlapCounts& counts);
/// tp / (tp + fp)
[[nodiscard]] std::optional<double> precision(const OverlapCounts& counts);
/// tn / (tn + fp)
[[nodiscard]] std::optional<double> specificity(const OverlapCounts& counts);
/// (tp + tn) / all voxels: near 1 for any small object, even when all of it is missed.
[[nodiscard]] std::optional<double> accuracy(const OverlapCounts& counts);
/// (predicted - reference) / reference, signed.
[[nodiscard]] std::optional<double> relative_volume_error(const OverlapCounts& counts);

/// BraTS convention for challenges: Dice 1 where both are empty, 0 where one is.
[[nodiscard]] double dice_with_empty_as_one(const OverlapCounts& counts);

// Voxels whose reference is kIgnoreTarget (tensor/target.h) take no part in any count below.

/// Counts of every class in [0, num_classes) over two runs of class indices of equal size.
/// Values >= num_classes count as disagreement only. Adds to `counts` (size num_classes <= 255).
void accumulate_classes(std::span<const uint8_t> prediction, std::span<const uint8_t> reference,
                        std::span<OverlapCounts> counts);

/// Counts of every region; voxel values are bit sets, bit r = inside region r.
/// Adds to `counts` (size = number of regions, at most 7).
void accumulate_regions(std::span<const uint8_t> prediction, std::span<const uint8_t> reference,
                        std::span<OverlapCounts> counts);

/// The counts of plain u8 tensors [1, 1, d, h, w] of one extent over the voxels of `box` only
/// (padding stays out). One entry per class or region.
[[nodiscard]] std::vector<OverlapCounts> count_overlap(const TensorView& prediction,
                                                       const TensorView& reference, const Box3& box,
                                                       LabelCoding coding, int64_t num_labels);

/// Sums a soft Dice is made of, over p in [0, 1] and t in {0, 1}.
struct SoftSums {
  double intersection = 0;  ///< sum of p t
  double predicted = 0;     ///< sum of p
  double reference = 0;     ///< sum of t
  SoftSums& operator+=(const SoftSums& other);
};

/// Sums over `box` of channel `channel` of a plain f32 tensor of probabilities [1, c, d, h, w];
/// t = 1 where (reference voxel & mask) != 0.
[[nodiscard]] SoftSums count_soft_region(const TensorView& probabilities, int64_t channel,
                                         const TensorView& reference, uint8_t mask,
                                         const Box3& box);

/// (2 intersection + smooth) / (predicted + reference + smooth); no value for 0 / 0.
[[nodiscard]] std::optional<double> soft_dice(const SoftSums& sums, double smooth = 0.0);

/// Mean of the values that are defined; none defined: no value.
[[nodiscard]] std::optional<double> mean_of_defined(std::span<const std::optional<double>> values);

/// Dice of all cases taken as one (ratio of sums) - paper A's batch-pooled form - in contrast to
/// the mean of per-case Dice.
[[nodiscard]] std::optional<double> pooled_dice(std::span<const OverlapCounts> cases);

}  // namespace wholemount
