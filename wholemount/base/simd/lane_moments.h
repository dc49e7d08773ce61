#pragma once

namespace wholemount {

/// Number of values, mean and sum of squared deviations of each of sixteen lanes.
struct LaneMoments {
  alignas(64) double mean[16];
  alignas(64) double m2[16];
  double count;
};

}  // namespace wholemount
