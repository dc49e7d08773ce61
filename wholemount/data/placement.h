#pragma once

#include <optional>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Which shape cases get in a tensor.
struct ShapeSpec {
  /// A shape for all cases (centred crop and pad); none: the whole volume, padded.
  std::optional<Extent3> fixed;
  /// What a net needs each axis to be a multiple of.
  Extent3 multiple{1, 1, 1};
};

/// Where a stored volume goes in its tensor.
struct Placement {
  Box3 source;     ///< the part of the stored volume that is used
  Box3 valid;      ///< where that part lies in the tensor, of the same extent; the rest is padding
  Extent3 padded;  ///< the tensor's extent
  friend bool operator==(const Placement&, const Placement&) = default;
};

/// Without a fixed shape every axis is rounded up to the multiple and padding is centred
/// (before = (padded - size) / 2, rounded down). With one, longer axes are cropped from
/// (size - shape) / 2 on and shorter ones padded likewise. [155, 240, 240] at multiple 16 becomes
/// [160, 240, 240] with 2 planes before and 3 behind.
/// Throws ConfigError for a fixed shape that is no multiple of what the net needs.
[[nodiscard]] Placement place_volume(const Extent3& stored, const ShapeSpec& spec);

}  // namespace wholemount
