#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/image/geometry.h"
#include "wholemount/image/png_writer.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// An image with its true and predicted labels, all on one grid. Labels are codes: 0 background;
/// equal codes mean equal classes, or equal sets of regions; kIgnoreTarget (tensor/target.h) in
/// `truth` is left out.
struct LabelledVolume {
  Extent3 extent;
  Geometry geometry;
  std::vector<float> image;  ///< [d, h, w]
  std::vector<uint8_t> truth;
  std::vector<uint8_t> prediction;

  [[nodiscard]] size_t index(int64_t d, int64_t h, int64_t w) const {
    return static_cast<size_t>((d * extent.h + h) * extent.w + w);
  }
};

/// What a voxel of the overlay says.
enum class Agreement : uint8_t {
  background,
  prediction_only,  ///< red
  truth_only,       ///< blue
  agreement,        ///< purple
  other_label,      ///< both foreground, of different labels: amber
};
[[nodiscard]] Agreement compare_labels(uint8_t prediction, uint8_t truth);

/// Intensities shown as black and white: the 0.5 % percentile of all voxels, and the 99.5 %
/// percentile of those above it.
struct GreyWindow {
  double black = 0;
  double white = 1;
};
[[nodiscard]] GreyWindow percentile_window(const LabelledVolume& volume);

constexpr int kGreyLevels = 48;
/// 48 grey levels for each Agreement in turn, its colour laid over the grey half transparent.
[[nodiscard]] std::vector<std::array<uint8_t, 3>> overlay_palette();

/// The axis a view's slices are counted along.
enum class SliceAxis : uint8_t { d, h, w };

/// How slices along an axis are laid on the screen.
struct SliceView {
  SliceAxis axis = SliceAxis::d;
  std::string name;  ///< "axial" ... where the geometry says so, else "slices along d"
  bool flip_rows = false;
  bool flip_columns = false;
  int64_t num_slices = 1;
  int64_t rows = 1;     ///< voxels down: h for d, else d
  int64_t columns = 1;  ///< voxels across: w for d and h, h for w
  double row_mm = 1;    ///< voxel size down
  double column_mm = 1;
};

/// The views along d, h and w. Where voxel axes lie near the axes of the body (within 45 degrees)
/// views are turned the radiological way: front or top upwards, the patient's right on the left;
/// in sagittal views the front is on the left.
[[nodiscard]] std::array<SliceView, 3> slice_views(const LabelledVolume& volume);

/// The slice of a view with most true foreground; without any truth that with most predicted, the
/// middle one without either.
[[nodiscard]] int64_t fullest_slice(const LabelledVolume& volume, const SliceView& view);

/// One slice with square pixels: `pixels_per_mm` in both directions, grey interpolated linearly,
/// labels by the nearest voxel, so that their borders are true.
[[nodiscard]] IndexedImage render_slice(const LabelledVolume& volume, const GreyWindow& window,
                                        const SliceView& view, int64_t slice, double pixels_per_mm);

/// Pictures beside each other on black, 8 pixels apart, centred in height.
[[nodiscard]] IndexedImage join_pictures(const std::vector<IndexedImage>& pictures);

}  // namespace wholemount
