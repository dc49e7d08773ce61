#pragma once

#include <stdint.h>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// kIgnoreTarget (tensor/target.h), said again because sources compiled per instruction set include
/// no other folder; segmentation_sums.cpp asserts that both agree.
inline constexpr uint8_t kSegmentationIgnoreTarget = 255;

/// A run of neighbouring voxels of the logits and the target of a segmentation loss, walked in
/// groups of sixteen voxels.
struct SegmentationRun {
  const float* logits;  ///< channel 0 of the first voxel
  int64_t block_pitch;  ///< floats from one channel block to the next
  int64_t block_width;  ///< 1 (plain) or 16 (blocked16)
  int64_t channels;
  const uint8_t* target;
  int64_t num_voxels;
  bool classes;  ///< softmax and class indices; else sigmoid and bit masks
  float* work;   ///< as many floats as asked for below, 64-byte aligned
  // classes: the smoothed truth q = truth_scale * t + truth_floor; 1 and 0 without smoothing.
  float truth_scale = 1.0F;
  float truth_floor = 0.0F;
};

/// Channels in whole blocks of sixteen.
inline int64_t segmentation_padded_channels(int64_t channels) { return (channels + 15) / 16 * 16; }

/// Floats of work space for the gradient: a group's logits (or gradients) and its exponentials,
/// both of whole blocks of sixteen channels.
inline int64_t segmentation_gradient_work_floats(int64_t channels) {
  return 32 * segmentation_padded_channels(channels);
}

/// Channels that a group of the sums of classes has room for: plain ones are not turned round.
inline int64_t segmentation_sums_channels(int64_t channels, int64_t block_width) {
  return block_width == 1 ? channels : segmentation_padded_channels(channels);
}
/// Groups whose sums of classes are made together: as many as let one's chains of dependent
/// operations overlap with the next's, and stay in the first-level cache.
inline int64_t segmentation_sums_groups(int64_t channels, int64_t block_width) {
  constexpr int64_t kMostGroups = 32;
  const int64_t groups = 128 / segmentation_sums_channels(channels, block_width);
  return groups < 1 ? 1 : groups > kMostGroups ? kMostGroups : groups;
}
/// Floats of work space for sums: the groups' logits and exponentials, eight numbers of each voxel.
inline int64_t segmentation_sums_work_floats(int64_t channels, int64_t block_width) {
  return 16 * segmentation_sums_groups(channels, block_width) *
         (2 * segmentation_sums_channels(channels, block_width) + 8);
}

/// Rows of partial sums per channel; kVoxels is kept once, after the channels.
struct SegmentationPartialRow {
  enum : int64_t {
    intersection = 0,       ///< sum p t
    predicted = 1,          ///< sum p
    truth = 2,              ///< sum t
    entropy = 3,            ///< regions: cross entropy; classes: -q log p
    hard_intersection = 4,  ///< decided voxels that are true
    hard_predicted = 5,     ///< decided voxels: logit > 0, or the first largest logit
    kNumRows = 6
  };
};

/// Floats (or doubles) of sixteen-lane partial sums: [channels][kNumRows][16], then [16] counting
/// voxels.
inline int64_t segmentation_partial_lanes(int64_t channels) {
  return 16 * (channels * SegmentationPartialRow::kNumRows + 1);
}

/// Adds a run to the sixteen-lane sums `partial`, ignored voxels left out; `entropy` asks for that
/// row, else it is left.
struct SegmentationSumsRun {
  SegmentationRun run;
  float* partial;
  bool entropy;
};

/// Writes the gradient of the logits. With g_c = a_c t_c + b_c = dL/dp_c of the sums and e the
/// weight of the voxel term: regions p (1 - p) g + e (p - t); classes
/// p_c (g_c - sum_k p_k g_k) + e (p_c - q_c). 0 where the target is to be ignored or is no class.
struct SegmentationGradientRun {
  SegmentationRun run;
  float* out;  ///< laid out as the logits; may be the logits
  int64_t out_block_pitch;
  const float* a;  ///< [channels]
  const float* b;  ///< [channels]
  float e;
};

// clang-format off
WM_DECLARE_PER_ISA(
void segmentation_sums_run(const SegmentationSumsRun& sums);
/// The same, of classes only.
void segmentation_class_sums_run(const SegmentationSumsRun& sums);
void segmentation_gradient_run(const SegmentationGradientRun& gradient);
)
// clang-format on

}  // namespace wholemount
