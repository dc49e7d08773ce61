#pragma once

#include <array>
#include <cstdint>

#include "wholemount/data/augment_spec.h"
#include "wholemount/data/strided_box.h"
#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// A move of a box onto itself: axis i of the result runs along source axis `source[i]`, backwards
/// where `reversed[i]`. Axes count d, h, w.
struct SpatialMove {
  std::array<int, 3> source{0, 1, 2};
  std::array<bool, 3> reversed{false, false, false};
  friend bool operator==(const SpatialMove&, const SpatialMove&) = default;

  void mirror(int axis);
  /// A quarter turn that takes `first` to `second`; both axes must have the same length.
  void turn(int first, int second);
};

/// The move of a case in an epoch: a pure function of the arguments. Sides are equal when both the
/// used part's and the tensor's are (`valid`, `padded`), so that padding stays where it is.
[[nodiscard]] SpatialMove draw_spatial_move(const AugmentSpec& spec, const Extent3& valid,
                                            const Extent3& padded, uint64_t seed, uint64_t epoch,
                                            uint64_t case_index);

/// Positions, relative to view.origin and in elements, where the moved voxels of a source box go:
/// voxel (d, h, w) of the source belongs at at(d, h) + w * w_pitch. `valid` is the box of `view`
/// that receives them.
[[nodiscard]] StridedBox moved_box(const TensorView& view, int64_t channel, const Box3& valid,
                                   const SpatialMove& move);

}  // namespace wholemount
