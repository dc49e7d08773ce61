#include "wholemount/metrics/surface.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "wholemount/base/error.h"
#include "wholemount/metrics/distance_transform.h"

namespace wholemount {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Box3 bounding_box(const LabelMask& a, const LabelMask& b, const Box3& box) {
  Box3 bounds{box.end, box.begin};
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      for (int64_t w = box.begin.w; w < box.end.w; ++w) {
        if (!a.at(d, h, w) && !b.at(d, h, w)) continue;
        bounds.begin = {std::min(bounds.begin.d, d), std::min(bounds.begin.h, h),
                        std::min(bounds.begin.w, w)};
        bounds.end = {std::max(bounds.end.d, d + 1), std::max(bounds.end.h, h + 1),
                      std::max(bounds.end.w, w + 1)};
      }
    }
  }
  return bounds;
}

/// The grid of voxel corners of a box: one more than voxels along each axis.
struct CornerGrid {
  Box3 voxels;
  Extent3 extent;
  explicit CornerGrid(const Box3& box)
      : voxels(box), extent{box.extent().d + 1, box.extent().h + 1, box.extent().w + 1} {}
};

// Which of the eight voxels around each corner belong to the mask (bit 4 d + 2 h + w).
std::vector<uint8_t> corner_patterns(const LabelMask& mask, const CornerGrid& grid) {
  std::vector<uint8_t> patterns(static_cast<size_t>(volume(grid.extent)));
  const Extent3 size = grid.voxels.extent();
  for (int64_t d = 0; d < size.d; ++d) {
    for (int64_t h = 0; h < size.h; ++h) {
      for (int64_t w = 0; w < size.w; ++w) {
        const Extent3& begin = grid.voxels.begin;
        if (!mask.at(begin.d + d, begin.h + h, begin.w + w)) continue;
        // The voxel is the lower neighbour of the corners behind it and the upper of those before.
        for (unsigned corner = 0; corner < 8; ++corner) {
          const int64_t behind_d = corner >> 2U & 1U;
          const int64_t behind_h = corner >> 1U & 1U;
          const int64_t behind_w = corner & 1U;
          const int64_t at =
              ((d + behind_d) * grid.extent.h + h + behind_h) * grid.extent.w + w + behind_w;
          patterns[static_cast<size_t>(at)] =
              static_cast<uint8_t>(patterns[static_cast<size_t>(at)] | 1U << (7 - corner));
        }
      }
    }
  }
  return patterns;
}

bool on_surface(uint8_t pattern) { return pattern != 0 && pattern != 255; }

// Elements of the surface of `from` with their distance to the surface of `to`.
std::vector<SurfaceElement> elements_between(const std::vector<uint8_t>& from,
                                             const std::vector<uint8_t>& to, const CornerGrid& grid,
                                             const std::array<double, 3>& spacing_mm,
                                             std::vector<double>* squared) {
  for (size_t i = 0; i < to.size(); ++i) (*squared)[i] = on_surface(to[i]) ? 0.0 : kInfinity;
  squared_distance_transform(*squared, grid.extent, spacing_mm);
  const std::array<double, 256> areas = surface_element_areas(spacing_mm);
  std::vector<SurfaceElement> elements;
  elements.reserve(static_cast<size_t>(std::count_if(from.begin(), from.end(), on_surface)));
  for (size_t i = 0; i < from.size(); ++i) {
    if (on_surface(from[i])) elements.push_back({std::sqrt((*squared)[i]), areas[from[i]]});
  }
  std::sort(elements.begin(), elements.end(), [](const auto& a, const auto& b) {
    return std::tie(a.distance_mm, a.area_mm2) < std::tie(b.distance_mm, b.area_mm2);
  });
  return elements;
}

struct AreaSums {
  double within = 0.0;
  double total = 0.0;
};

AreaSums sum_areas(const std::vector<SurfaceElement>& elements, double tolerance_mm) {
  AreaSums sums;
  for (const SurfaceElement& element : elements) {
    sums.total += element.area_mm2;
    if (element.distance_mm <= tolerance_mm) sums.within += element.area_mm2;
  }
  return sums;
}

// The first distance up to which at least `percent` of the area lies.
double percentile(const std::vector<SurfaceElement>& elements, double percent) {
  const double total = sum_areas(elements, kInfinity).total;
  double sum = 0.0;
  for (const SurfaceElement& element : elements) {
    sum += element.area_mm2;
    if (sum / total >= percent / 100.0) return element.distance_mm;
  }
  return elements.back().distance_mm;
}

}  // namespace

SurfaceDistances surface_distances(const LabelMask& prediction, const LabelMask& reference,
                                   const Box3& box, const std::array<double, 3>& spacing_mm) {
  WM_CHECK(prediction.labels.desc.extent == reference.labels.desc.extent,
           "label maps of different extent");
  SurfaceDistances distances;
  const Box3 bounds = bounding_box(prediction, reference, box);
  if (bounds.empty()) return distances;
  const CornerGrid grid(bounds);
  const std::vector<uint8_t> predicted = corner_patterns(prediction, grid);
  const std::vector<uint8_t> referenced = corner_patterns(reference, grid);
  std::vector<double> squared(predicted.size());
  distances.prediction_to_reference =
      elements_between(predicted, referenced, grid, spacing_mm, &squared);
  distances.reference_to_prediction =
      elements_between(referenced, predicted, grid, spacing_mm, &squared);
  return distances;
}

std::optional<double> normalised_surface_dice(const SurfaceDistances& distances,
                                              double tolerance_mm) {
  const AreaSums predicted = sum_areas(distances.prediction_to_reference, tolerance_mm);
  const AreaSums referenced = sum_areas(distances.reference_to_prediction, tolerance_mm);
  const double total = predicted.total + referenced.total;
  if (total == 0.0) return std::nullopt;
  return (predicted.within + referenced.within) / total;
}

std::optional<double> hausdorff_mm(const SurfaceDistances& distances, double percent) {
  if (distances.prediction_to_reference.empty() || distances.reference_to_prediction.empty()) {
    return std::nullopt;
  }
  return std::max(percentile(distances.prediction_to_reference, percent),
                  percentile(distances.reference_to_prediction, percent));
}

}  // namespace wholemount
