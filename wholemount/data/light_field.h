#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "wholemount/data/strided_box.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Uneven illumination of a channel: how much of the light arrives at each place of a field, a
/// polynomial of second degree with mean 1 over the field (CellProfiler's "Fit Polynomial").
/// Places are relative, so fields of all sizes share one: y and x run from -1 to 1 across a field.
struct LightField {
  /// Of 1, y, x, y^2, y x, x^2.
  std::array<double, 6> terms{1, 0, 0, 0, 0, 0};

  /// At pixel (h, w) of a field; at least kLeastLight, so that dividing by it is safe.
  [[nodiscard]] double at(const Extent3& field, int64_t h, int64_t w) const;
  friend bool operator==(const LightField&, const LightField&) = default;
};

constexpr double kLeastLight = 0.1;

/// Divides the pixels of `box` (d = 1) by the light. The box shows the field's pixels from
/// (first_h, first_w) on. The result does not depend on the box's pitches.
void correct_light(const LightField& light, const Extent3& field, int64_t first_h, int64_t first_w,
                   float* values, const StridedBox& box);

/// The mean image of any number of fields, as far as a LightField needs it: sums only, so that
/// fields stream through. Adding in another order changes the last bits.
class LightSums {
 public:
  /// A row of a field [1, h, w]: values.size() = w.
  void add_row(const Extent3& field, int64_t row, std::span<const float> values);
  void add(const LightSums& other);
  /// Least squares; even light where there is nothing to fit (no field, fields of fewer than three
  /// rows or columns, darkness).
  [[nodiscard]] LightField fit() const;

 private:
  static constexpr size_t kTerms = 6;
  std::array<double, kTerms> values_{};             ///< sum of value * term
  std::array<double, kTerms * kTerms> products_{};  ///< sum of term * term
};

}  // namespace wholemount
