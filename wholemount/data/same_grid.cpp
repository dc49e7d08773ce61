#include "wholemount/data/same_grid.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr double kLargestOffsetVoxels = 0.05;

double distance_mm(const VolumeHeader& image, const VolumeHeader& other) {
  const Geometry& a = image.geometry;
  const Geometry& b = other.geometry;
  if (a.has_orientation() && b.has_orientation()) {
    return largest_corner_distance_mm(a, b, {image.extent.w, image.extent.h, image.extent.d});
  }
  const std::array<int64_t, 3> sizes{image.extent.d, image.extent.h, image.extent.w};
  double distance = 0.0;
  for (size_t axis = 0; axis < 3; ++axis) {
    distance = std::max(distance, std::abs(a.spacing_mm[axis] - b.spacing_mm[axis]) *
                                      static_cast<double>(sizes[axis] - 1));
  }
  return distance;
}

}  // namespace

void check_same_grid(const NamedHeader& image, const NamedHeader& other) {
  if (other.header.extent != image.header.extent) {
    throw FileError(other.path, "has shape " + to_string(other.header.extent) +
                                    " (d x h x w), but " + image.path + " has " +
                                    to_string(image.header.extent) +
                                    "; both must lie on the same grid");
  }
  const auto& spacing = image.header.geometry.spacing_mm;
  const double distance = distance_mm(image.header, other.header);
  if (distance <= kLargestOffsetVoxels * *std::min_element(spacing.begin(), spacing.end())) return;
  throw FileError(other.path,
                  "lies elsewhere than " + image.path + ": their affines place the same corner " +
                      std::to_string(distance) + " mm apart; resample one onto the other's grid");
}

}  // namespace wholemount
