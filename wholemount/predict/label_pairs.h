#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/metrics/overlap.h"

namespace wholemount {

/// How many voxels hold this label in the prediction and that label in the reference. The pairs of
/// a case are a few numbers from which the overlap of every label and region follows.
struct LabelPair {
  uint8_t prediction = 0;
  uint8_t reference = 0;
  int64_t voxels = 0;
  friend bool operator==(const LabelPair&, const LabelPair&) = default;
};

/// Reads two label maps plane by plane and counts all pairs that occur, in rising order.
/// Throws FileError naming both files when they hold several channels, differ in shape, or lie at
/// different places (corners further apart than 5 % of the smallest voxel edge; only voxel sizes
/// are compared where one of them stores no orientation); also what NiftiReader throws: damaged
/// files, voxels that are no whole number from 0 to 255.
/// Memory: two planes and 512 KiB.
[[nodiscard]] std::vector<LabelPair> count_label_pairs(NiftiReader& prediction,
                                                       NiftiReader& reference);

/// Overlap of one region: the voxels whose label is one of `values`.
[[nodiscard]] OverlapCounts overlap_of(std::span<const LabelPair> pairs,
                                       std::span<const uint8_t> values);

}  // namespace wholemount
