#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "wholemount/metrics/label_coding.h"
#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// One label of a label tensor seen as a mask.
struct LabelMask {
  TensorView labels;  ///< plain u8 [1, 1, d, h, w]
  LabelCoding coding = LabelCoding::classes;
  int64_t label = 1;  ///< class index or region bit

  [[nodiscard]] bool at(int64_t d, int64_t h, int64_t w) const {
    const uint8_t value = *labels.at<uint8_t>(0, 0, d, h, w);
    return coding == LabelCoding::classes ? value == label : (value >> label & 1) != 0;
  }
};

/// A piece of a surface: its area and how far it lies from the other surface.
struct SurfaceElement {
  double distance_mm = 0;  ///< infinite where the other mask is empty
  double area_mm2 = 0;
};

/// Distances between the surfaces of two masks.
///
/// The surface runs through the corners of voxels: each corner with voxels of both kinds among its
/// eight is one element. Its area is that of the isosurface a marching cube has there (triangles
/// through the midpoints of the cube's edges; voxels of the rarer kind that touch only by an edge
/// or a corner are separate), its distance the Euclidean one to the nearest such corner of the
/// other mask. This is the definition of Nikolov et al., "Deep learning to achieve clinically
/// applicable segmentation of head and neck anatomy for radiotherapy" (2018), published as the
/// Python package surface-distance, which the Medical Segmentation Decathlon and others use;
/// results equal that package's.
struct SurfaceDistances {
  /// Each list rises by distance.
  std::vector<SurfaceElement> prediction_to_reference;
  std::vector<SurfaceElement> reference_to_prediction;
};

/// Compares the masks over the voxels of `box`; `spacing_mm` along [d, h, w].
/// Memory: 10 bytes for each voxel of the bounding box of both masks, and 16 for each surface
/// element.
[[nodiscard]] SurfaceDistances surface_distances(const LabelMask& prediction,
                                                 const LabelMask& reference, const Box3& box,
                                                 const std::array<double, 3>& spacing_mm);

/// Normalised surface Dice: the part of both surfaces' area that lies within the tolerance of the
/// other surface. No value where both masks are empty; 0 where one is.
[[nodiscard]] std::optional<double> normalised_surface_dice(const SurfaceDistances& distances,
                                                            double tolerance_mm);

/// The `percent` percentile (weighted by area) of the distances from each surface to the other; the
/// larger of the two. hausdorff_mm(distances, 95) is HD95. No value where a mask is empty: the
/// distance is then infinite or undefined.
[[nodiscard]] std::optional<double> hausdorff_mm(const SurfaceDistances& distances,
                                                 double percent = 95.0);

/// Area of the surface around a corner for each of the 256 patterns of its eight voxels; bit
/// 4 d + 2 h + w tells that voxel (d, h, w) of the 2 x 2 x 2 belongs to the mask.
[[nodiscard]] std::array<double, 256> surface_element_areas(
    const std::array<double, 3>& spacing_mm);

}  // namespace wholemount
