#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Which voxels a threshold keeps.
enum class ThresholdSide : uint8_t { above, below };

/// The segmentation anyone can do without learning, to compare a network with: keep the voxels of
/// one channel on one side of a threshold, then only their largest connected component (faces
/// touch: 6 neighbours). One threshold serves all cases; the best is chosen afterwards with the
/// truth in hand, so the figure is an upper bound.
///
///   dice(t) = mean over cases of 2 |C(t) and T| / (|C(t)| + |T|)
///
/// Voxels that are exactly 0 (outside the brain) are never kept. Of equally large components the
/// one completed first counts. All thresholds of a case cost one sort and one union-find sweep.
class ThresholdBaseline {
 public:
  /// `thresholds` in rising order, at least one, else ConfigError.
  ThresholdBaseline(std::vector<double> thresholds, ThresholdSide side);

  /// Adds a case: values [d, h, w] of one channel; truth != 0 is the target. Both have
  /// volume(extent) voxels, below 2^31 (ShapeError otherwise). Memory: 17 bytes a voxel meanwhile.
  void add_case(const Extent3& extent, std::span<const float> values,
                std::span<const uint8_t> truth);

  struct Best {
    double threshold = 0;
    double dice = 0;  ///< mean over the cases
  };
  /// The best threshold for all cases so far, of which there must be one.
  [[nodiscard]] Best best() const;

 private:
  std::vector<double> thresholds_;
  std::vector<double> dice_sums_;
  ThresholdSide side_;
  int64_t num_cases_ = 0;
};

}  // namespace wholemount
