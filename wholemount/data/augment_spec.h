#pragma once

#include <string>
#include <vector>

namespace wholemount {

/// Which random changes training samples get. Each is a pure function of (seed, epoch, case).
struct AugmentSpec {
  bool flip = false;   ///< each axis is mirrored with probability 1/2
  bool rot90 = false;  ///< 0 to 3 quarter turns in a plane of two equal sides
  /// Fields (d = 1) of whole-image classification: turned by a multiple of 15 degrees, then cropped
  /// to the shape (turned_crop.h). With "flip" 48 views of a field, drawn anew each epoch.
  bool rot15 = false;
  /// Turns by up to 15 degrees about each axis and scales by 0.87 to 1.15, about the centre.
  bool affine = false;
  /// Smooth displacements of up to 3 % of each axis' length (a cubic B-spline over 5 control points
  /// an axis; they cannot fold).
  bool elastic = false;
  bool intensity_scale = false;  ///< each channel times 0.9 to 1.1
  bool intensity_shift = false;  ///< each channel plus -0.1 to 0.1 of its standard deviation
  bool noise = false;  ///< normal noise; deviation 0 to 0.1 of the channel's standard deviation

  [[nodiscard]] bool warps() const { return affine || elastic; }
  [[nodiscard]] bool changes_intensity() const {
    return intensity_scale || intensity_shift || noise;
  }
};

/// Reads "flip", "rot90", "rot15", "affine", "elastic", "intensity-scale", "intensity-shift",
/// "noise"; throws ConfigError naming the nearest known one.
[[nodiscard]] AugmentSpec parse_augment(const std::vector<std::string>& names);

}  // namespace wholemount
