#pragma once

#include <cstdint>

#include "wholemount/data/augment_spec.h"
#include "wholemount/data/strided_box.h"

namespace wholemount {

/// What happens to the intensities of one channel: y = scale * x + (shift + noise * z) * deviation
/// of the channel, z standard normal for each voxel.
struct IntensityChange {
  double scale = 1.0;
  double shift = 0.0;
  double noise = 0.0;
};

/// Which sample and channel: the change and its noise are a pure function of it.
struct IntensityDraw {
  uint64_t seed = 0;
  uint64_t epoch = 0;
  uint64_t case_index = 0;
  int64_t channel = 0;
};

[[nodiscard]] IntensityChange draw_intensity_change(const AugmentSpec& spec,
                                                    const IntensityDraw& draw);

/// Applies a change to the voxels of a box in place. `keep_zero`: voxels that are 0 (outside the
/// head) stay 0 and do not count in the channel's standard deviation.
/// The noise is the sum of four uniform 16-bit numbers, centred and scaled to variance 1: within
/// 3.5 deviations, and the same on every machine.
void change_intensity(const IntensityChange& change, const IntensityDraw& draw, bool keep_zero,
                      float* values, const StridedBox& box);

}  // namespace wholemount
