#include "wholemount/report/overlay.h"

#include <algorithm>
#include <cmath>

#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

constexpr double kOpacity = 0.5;
constexpr int64_t kGap = 8;

/// Position of a pixel of the screen in voxels, as rows or columns of the stored slice.
struct Sample {
  int64_t nearest = 0;
  int64_t below = 0;
  int64_t above = 0;
  double weight = 0;  ///< of `above`
};

std::vector<Sample> samples(int64_t voxels, int64_t pixels, bool flip) {
  std::vector<Sample> all;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const int64_t shown = flip ? pixels - 1 - pixel : pixel;
    const double at = (static_cast<double>(shown) + 0.5) * static_cast<double>(voxels) /
                      static_cast<double>(pixels);
    Sample sample;
    sample.nearest = std::clamp(static_cast<int64_t>(at), int64_t{0}, voxels - 1);
    const double centre = std::clamp(at - 0.5, 0.0, static_cast<double>(voxels - 1));
    sample.below = static_cast<int64_t>(centre);
    sample.above = std::min(sample.below + 1, voxels - 1);
    sample.weight = centre - static_cast<double>(sample.below);
    all.push_back(sample);
  }
  return all;
}

size_t voxel_index(const LabelledVolume& volume, SliceAxis axis, int64_t slice, int64_t row,
                   int64_t column) {
  switch (axis) {
    case SliceAxis::d:
      return volume.index(slice, row, column);
    case SliceAxis::h:
      return volume.index(row, slice, column);
    case SliceAxis::w:
      break;
  }
  return volume.index(row, column, slice);
}

int64_t pixels_of(int64_t voxels, double voxel_mm, double pixels_per_mm) {
  return std::clamp<int64_t>(std::llround(static_cast<double>(voxels) * voxel_mm * pixels_per_mm),
                             1, 4096);
}

/// True when physical axis `physical` is the one that voxel axis `voxel` runs along.
bool runs_along(const Geometry& geometry, size_t voxel, size_t physical) {
  return std::fabs(geometry.direction[physical][voxel]) > 0.7071;
}

}  // namespace

Agreement compare_labels(uint8_t prediction, uint8_t truth) {
  if (truth == kIgnoreTarget || (prediction == 0 && truth == 0)) return Agreement::background;
  if (truth == 0) return Agreement::prediction_only;
  if (prediction == 0) return Agreement::truth_only;
  return prediction == truth ? Agreement::agreement : Agreement::other_label;
}

GreyWindow percentile_window(const LabelledVolume& volume) {
  // A million voxels tell the percentiles well enough.
  const size_t stride = std::max<size_t>(1, volume.image.size() / 1000003);
  std::vector<float> values;
  for (size_t i = 0; i < volume.image.size(); i += stride) values.push_back(volume.image[i]);
  if (values.empty()) return {};
  const auto percentile = [](std::vector<float>& all, double fraction) {
    const auto at =
        all.begin() + static_cast<std::ptrdiff_t>(fraction * static_cast<double>(all.size() - 1));
    std::nth_element(all.begin(), at, all.end());
    return static_cast<double>(*at);
  };
  GreyWindow window;
  window.black = percentile(values, 0.005);
  std::erase_if(values, [&](float value) { return static_cast<double>(value) <= window.black; });
  window.white = values.empty() ? window.black + 1 : percentile(values, 0.995);
  return window;
}

std::vector<std::array<uint8_t, 3>> overlay_palette() {
  constexpr std::array<std::array<double, 3>, 4> kColours = {
      {{235, 35, 35}, {40, 100, 255}, {165, 50, 225}, {250, 170, 20}}};
  std::vector<std::array<uint8_t, 3>> palette;
  for (size_t state = 0; state <= kColours.size(); ++state) {
    for (int level = 0; level < kGreyLevels; ++level) {
      const double grey = 255.0 * level / (kGreyLevels - 1);
      std::array<uint8_t, 3> colour{};
      for (size_t c = 0; c < 3; ++c) {
        const double value =
            state == 0 ? grey : grey * (1 - kOpacity) + kColours[state - 1][c] * kOpacity;
        colour[c] = static_cast<uint8_t>(std::lround(value));
      }
      palette.push_back(colour);
    }
  }
  return palette;
}

std::array<SliceView, 3> slice_views(const LabelledVolume& volume) {
  const Geometry& geometry = volume.geometry;
  const Extent3& extent = volume.extent;
  const auto& spacing = geometry.spacing_mm;
  std::array<SliceView, 3> views;
  views[0] = {SliceAxis::d, "slices along d", false,      false,     extent.d,
              extent.h,     extent.w,         spacing[1], spacing[2]};
  views[1] = {SliceAxis::h, "slices along h", false,      false,     extent.h,
              extent.d,     extent.w,         spacing[0], spacing[2]};
  views[2] = {SliceAxis::w, "slices along w", false,      false,     extent.w,
              extent.d,     extent.h,         spacing[0], spacing[1]};
  const bool like_a_body = geometry.has_orientation() && runs_along(geometry, 0, 0) &&
                           runs_along(geometry, 1, 1) && runs_along(geometry, 2, 2);
  if (!like_a_body) return views;
  // NIfTI's x, y, z grow to the patient's right or left by sign, to the front, and upwards.
  const bool w_to_right = geometry.direction[0][0] > 0;
  const bool h_to_front = geometry.direction[1][1] > 0;
  const bool d_upwards = geometry.direction[2][2] > 0;
  views[0].name = "axial";
  views[0].flip_rows = h_to_front;
  views[0].flip_columns = w_to_right;
  views[1].name = "coronal";
  views[1].flip_rows = d_upwards;
  views[1].flip_columns = w_to_right;
  views[2].name = "sagittal";
  views[2].flip_rows = d_upwards;
  views[2].flip_columns = h_to_front;
  return views;
}

int64_t fullest_slice(const LabelledVolume& volume, const SliceView& view) {
  // Truth goes first: a prediction gone wrong may fill the edge of the image.
  for (const bool of_truth : {true, false}) {
    std::vector<int64_t> counts(static_cast<size_t>(view.num_slices), 0);
    for (int64_t d = 0; d < volume.extent.d; ++d) {
      for (int64_t h = 0; h < volume.extent.h; ++h) {
        for (int64_t w = 0; w < volume.extent.w; ++w) {
          const size_t i = volume.index(d, h, w);
          const bool ignored = volume.truth[i] == kIgnoreTarget;
          const bool inside = !ignored && (of_truth ? volume.truth[i] : volume.prediction[i]) != 0;
          const int64_t slice = view.axis == SliceAxis::d ? d : view.axis == SliceAxis::h ? h : w;
          counts[static_cast<size_t>(slice)] += inside ? 1 : 0;
        }
      }
    }
    const auto most = std::max_element(counts.begin(), counts.end());
    if (*most > 0) return most - counts.begin();
  }
  return view.num_slices / 2;
}

IndexedImage render_slice(const LabelledVolume& volume, const GreyWindow& window,
                          const SliceView& view, int64_t slice, double pixels_per_mm) {
  IndexedImage image;
  image.width = pixels_of(view.columns, view.column_mm, pixels_per_mm);
  image.height = pixels_of(view.rows, view.row_mm, pixels_per_mm);
  image.palette = overlay_palette();
  const std::vector<Sample> rows = samples(view.rows, image.height, view.flip_rows);
  const std::vector<Sample> columns = samples(view.columns, image.width, view.flip_columns);
  const auto grey_at = [&](int64_t row, int64_t column) {
    return static_cast<double>(volume.image[voxel_index(volume, view.axis, slice, row, column)]);
  };
  const double range = std::max(window.white - window.black, 1e-30);
  for (const Sample& row : rows) {
    for (const Sample& column : columns) {
      const double upper = grey_at(row.below, column.below) * (1 - column.weight) +
                           grey_at(row.below, column.above) * column.weight;
      const double lower = grey_at(row.above, column.below) * (1 - column.weight) +
                           grey_at(row.above, column.above) * column.weight;
      const double value = upper * (1 - row.weight) + lower * row.weight;
      const double share = std::clamp((value - window.black) / range, 0.0, 1.0);
      const size_t nearest = voxel_index(volume, view.axis, slice, row.nearest, column.nearest);
      const auto state =
          static_cast<int>(compare_labels(volume.prediction[nearest], volume.truth[nearest]));
      image.pixels.push_back(
          static_cast<uint8_t>(state * kGreyLevels + std::lround(share * (kGreyLevels - 1))));
    }
  }
  return image;
}

IndexedImage join_pictures(const std::vector<IndexedImage>& pictures) {
  IndexedImage joined;
  joined.palette = overlay_palette();
  for (const IndexedImage& picture : pictures) {
    joined.width += picture.width + (joined.width == 0 ? 0 : kGap);
    joined.height = std::max(joined.height, picture.height);
  }
  joined.pixels.assign(static_cast<size_t>(joined.width * joined.height), 0);
  int64_t left = 0;
  for (const IndexedImage& picture : pictures) {
    const int64_t top = (joined.height - picture.height) / 2;
    for (int64_t row = 0; row < picture.height; ++row) {
      std::copy_n(picture.pixels.begin() + row * picture.width, picture.width,
                  joined.pixels.begin() + (top + row) * joined.width + left);
    }
    left += picture.width + kGap;
  }
  return joined;
}

}  // namespace wholemount
