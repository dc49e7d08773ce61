#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wholemount/data/augment_spec.h"
#include "wholemount/data/strided_box.h"

namespace wholemount {

/// A smooth map of a box into itself: for every voxel of the result, where in the source its value
/// comes from. Physical: angles and lengths are those of the patient, whatever the spacing.
class SpatialWarp {
 public:
  /// The warp of a case in an epoch: a pure function of the arguments. `spacing_mm` along d, h, w.
  SpatialWarp(const AugmentSpec& spec, const Extent3& extent,
              const std::array<double, 3>& spacing_mm, uint64_t seed, uint64_t epoch,
              uint64_t case_index);

  /// Source positions (voxels, along d, h, w) for the row (d, h) of the result: w runs over the
  /// span.
  void source_row(int64_t d, int64_t h, std::span<std::array<float, 3>> positions) const;

 private:
  static constexpr size_t kControls = 7;  ///< 5 an axis, and one beyond each end
  using Vector = std::array<double, 3>;
  [[nodiscard]] const Vector& control(size_t d, size_t h, size_t w) const {
    return controls_[(d * kControls + h) * kControls + w];
  }

  Extent3 extent_;
  std::array<Vector, 3> matrix_{};  ///< of voxel offsets from the centre
  Vector centre_{};
  bool elastic_ = false;
  std::array<Vector, kControls * kControls * kControls> controls_{};  ///< displacements in voxels
};

/// Moves the voxels of a box along a warp, in place. Values between voxels are interpolated
/// linearly (float32) or taken from the nearest voxel (u8); beyond the border the border's value
/// holds. `scratch` has one element for each voxel of the box. Allocates one row.
void warp_in_place(const SpatialWarp& warp, const StridedBox& box, float* values,
                   std::span<float> scratch);
void warp_in_place(const SpatialWarp& warp, const StridedBox& box, uint8_t* values,
                   std::span<uint8_t> scratch);

}  // namespace wholemount
