#include "wholemount/data/spatial_warp.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;

constexpr double kLargestAngle = 15.0 * std::numbers::pi / 180.0;
constexpr double kLargestLogScale = 0.14;
constexpr double kLargestDisplacement = 0.03;  // of the axis' length

double between(CounterRng* rng, double low, double high) {
  return low + (high - low) * rng->next_double();
}

Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix product{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      for (size_t k = 0; k < 3; ++k) product[i][j] += a[i][k] * b[k][j];
    }
  }
  return product;
}

Matrix rotation_about(size_t axis, double angle) {
  const size_t a = (axis + 1) % 3;
  const size_t b = (axis + 2) % 3;
  Matrix matrix{};
  matrix[axis][axis] = 1.0;
  matrix[a][a] = std::cos(angle);
  matrix[b][b] = std::cos(angle);
  matrix[a][b] = -std::sin(angle);
  matrix[b][a] = std::sin(angle);
  return matrix;
}

// Weights of the four control points around a position of a uniform cubic B-spline.
std::array<double, 4> spline_weights(double t) {
  const double u = 1.0 - t;
  return {u * u * u / 6.0, (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
          (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0, t * t * t / 6.0};
}

/// The cell of the control grid a voxel lies in, and its weights there.
struct SplineCell {
  size_t first;
  std::array<double, 4> weights;
};

SplineCell spline_cell(int64_t index, int64_t size, size_t num_cells) {
  const double position = size > 1 ? static_cast<double>(index) / static_cast<double>(size - 1) *
                                         static_cast<double>(num_cells)
                                   : 0.0;
  const size_t first = std::min(static_cast<size_t>(position), num_cells - 1);
  return {first, spline_weights(position - static_cast<double>(first))};
}

/// The two voxels around a position along an axis, and the weight of the second.
struct Neighbours {
  int64_t low;
  int64_t high;
  float weight;
};

Neighbours neighbours_of(float position, int64_t size) {
  const float inside = std::clamp(position, 0.0F, static_cast<float>(size - 1));
  const auto low = static_cast<int64_t>(inside);
  return {low, std::min(low + 1, size - 1), inside - static_cast<float>(low)};
}

float interpolate(const float* values, const Extent3& extent, const std::array<float, 3>& at) {
  const Neighbours d = neighbours_of(at[0], extent.d);
  const Neighbours h = neighbours_of(at[1], extent.h);
  const Neighbours w = neighbours_of(at[2], extent.w);
  const auto along_w = [&](int64_t plane, int64_t row) {
    const float* line = values + (plane * extent.h + row) * extent.w;
    return line[w.low] + (line[w.high] - line[w.low]) * w.weight;
  };
  const auto along_h = [&](int64_t plane) {
    const float low = along_w(plane, h.low);
    return low + (along_w(plane, h.high) - low) * h.weight;
  };
  const float low = along_h(d.low);
  return low + (along_h(d.high) - low) * d.weight;
}

uint8_t nearest(const uint8_t* values, const Extent3& extent, const std::array<float, 3>& at) {
  const auto round = [](float position, int64_t size) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::floor(position + 0.5F)), 0, size - 1);
  };
  return values[(round(at[0], extent.d) * extent.h + round(at[1], extent.h)) * extent.w +
                round(at[2], extent.w)];
}

template <class Value, class Sample>
void warp_values(const SpatialWarp& warp, const StridedBox& box, Value* values,
                 std::span<Value> scratch, const Sample& sample) {
  const Extent3& extent = box.extent;
  WM_CHECK(static_cast<int64_t>(scratch.size()) >= volume(extent), "scratch too small");
  size_t next = 0;
  for_each_voxel(box, [&](int64_t at) { scratch[next++] = values[at]; });
  std::vector<std::array<float, 3>> row(static_cast<size_t>(extent.w));
  for (int64_t d = 0; d < extent.d; ++d) {
    for (int64_t h = 0; h < extent.h; ++h) {
      warp.source_row(d, h, row);
      Value* to = values + box.at(d, h);
      for (const std::array<float, 3>& at : row) {
        *to = sample(scratch.data(), extent, at);
        to += box.w_pitch;
      }
    }
  }
}

}  // namespace

SpatialWarp::SpatialWarp(const AugmentSpec& spec, const Extent3& extent,
                         const std::array<double, 3>& spacing_mm, uint64_t seed, uint64_t epoch,
                         uint64_t case_index)
    : extent_(extent) {
  const std::array<int64_t, 3> sizes{extent.d, extent.h, extent.w};
  Matrix turn{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  double scale = 1.0;
  if (spec.affine) {
    CounterRng rng(seed, epoch, case_index, "affine");
    for (size_t axis = 0; axis < 3; ++axis) {
      turn = multiply(turn, rotation_about(axis, between(&rng, -kLargestAngle, kLargestAngle)));
    }
    scale = std::exp(between(&rng, -kLargestLogScale, kLargestLogScale));
  }
  for (size_t i = 0; i < 3; ++i) {
    centre_[i] = static_cast<double>(sizes[i] - 1) / 2.0;
    for (size_t j = 0; j < 3; ++j) {
      matrix_[i][j] = turn[i][j] * scale * spacing_mm[j] / spacing_mm[i];
    }
  }
  // A single plane stays in its plane.
  if (extent.d == 1) {
    matrix_[0] = {0, 0, 0};
    matrix_[1][0] = matrix_[2][0] = 0;
  }
  elastic_ = spec.elastic;
  if (!elastic_) return;
  CounterRng rng(seed, epoch, case_index, "elastic");
  for (Vector& displacement : controls_) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const double largest = kLargestDisplacement * static_cast<double>(sizes[axis]);
      displacement[axis] = between(&rng, -largest, largest);
    }
  }
}

void SpatialWarp::source_row(int64_t d, int64_t h,
                             std::span<std::array<float, 3>> positions) const {
  constexpr size_t kCells = kControls - 3;
  const double offset_d = static_cast<double>(d) - centre_[0];
  const double offset_h = static_cast<double>(h) - centre_[1];
  // The spline over d and h is the same for the whole row.
  std::array<Vector, kControls> line{};
  if (elastic_) {
    const SplineCell cell_d = spline_cell(d, extent_.d, kCells);
    const SplineCell cell_h = spline_cell(h, extent_.h, kCells);
    for (size_t a = 0; a < 4; ++a) {
      for (size_t b = 0; b < 4; ++b) {
        const double weight = cell_d.weights[a] * cell_h.weights[b];
        for (size_t w = 0; w < kControls; ++w) {
          const Vector& point = control(cell_d.first + a, cell_h.first + b, w);
          for (size_t axis = 0; axis < 3; ++axis) line[w][axis] += weight * point[axis];
        }
      }
    }
  }
  for (size_t i = 0; i < positions.size(); ++i) {
    const auto w = static_cast<int64_t>(i);
    const double offset_w = static_cast<double>(w) - centre_[2];
    Vector displacement{};
    if (elastic_) {
      const SplineCell cell = spline_cell(w, extent_.w, kCells);
      for (size_t c = 0; c < 4; ++c) {
        for (size_t axis = 0; axis < 3; ++axis) {
          displacement[axis] += cell.weights[c] * line[cell.first + c][axis];
        }
      }
    }
    for (size_t axis = 0; axis < 3; ++axis) {
      positions[i][axis] = static_cast<float>(centre_[axis] + matrix_[axis][0] * offset_d +
                                              matrix_[axis][1] * offset_h +
                                              matrix_[axis][2] * offset_w + displacement[axis]);
    }
  }
}

void warp_in_place(const SpatialWarp& warp, const StridedBox& box, float* values,
                   std::span<float> scratch) {
  warp_values(warp, box, values, scratch, interpolate);
}

void warp_in_place(const SpatialWarp& warp, const StridedBox& box, uint8_t* values,
                   std::span<uint8_t> scratch) {
  warp_values(warp, box, values, scratch, nearest);
}

}  // namespace wholemount
