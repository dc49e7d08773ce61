#pragma once

#include <array>
#include <span>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Exact Euclidean distance transform of a grid with spacing (P. Felzenszwalb and D. Huttenlocher,
/// "Distance Transforms of Sampled Functions", Theory of Computing 8, 2012).
/// `squared` [d, h, w] holds 0 at features and infinity elsewhere; afterwards the squared distance
/// in mm^2 to the nearest feature: infinity everywhere when there is none.
/// Memory: four lines of the longest axis. Time: linear in the number of voxels.
void squared_distance_transform(std::span<double> squared, const Extent3& extent,
                                const std::array<double, 3>& spacing_mm);

}  // namespace wholemount
