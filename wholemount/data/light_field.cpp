#include "wholemount/data/light_field.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace wholemount {

namespace {

double place(int64_t index, int64_t size) {
  return (2.0 * static_cast<double>(index) + 1.0) / static_cast<double>(size) - 1.0;
}

std::array<double, 6> terms_at(double y, double x) { return {1, y, x, y * y, y * x, x * x}; }

/// Gaussian elimination with row pivoting of a 6x6 system; false where it is singular.
bool solve(std::array<double, 36> a, std::array<double, 6>* b) {
  constexpr size_t kSize = 6;
  // Entries of `a` are means over pixels, at most 1.
  constexpr double kSingular = 1e-9;
  for (size_t column = 0; column < kSize; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < kSize; ++row) {
      if (std::abs(a[row * kSize + column]) > std::abs(a[pivot * kSize + column])) pivot = row;
    }
    if (std::abs(a[pivot * kSize + column]) < kSingular) return false;
    for (size_t k = 0; k < kSize; ++k) std::swap(a[pivot * kSize + k], a[column * kSize + k]);
    std::swap((*b)[pivot], (*b)[column]);
    for (size_t row = 0; row < kSize; ++row) {
      if (row == column) continue;
      const double factor = a[row * kSize + column] / a[column * kSize + column];
      for (size_t k = column; k < kSize; ++k) a[row * kSize + k] -= factor * a[column * kSize + k];
      (*b)[row] -= factor * (*b)[column];
    }
  }
  for (size_t k = 0; k < kSize; ++k) (*b)[k] /= a[k * kSize + k];
  return true;
}

}  // namespace

double LightField::at(const Extent3& field, int64_t h, int64_t w) const {
  const std::array<double, 6> place_terms = terms_at(place(h, field.h), place(w, field.w));
  double light = 0;
  for (size_t k = 0; k < terms.size(); ++k) light += terms[k] * place_terms[k];
  return std::max(light, kLeastLight);
}

void correct_light(const LightField& light, const Extent3& field, int64_t first_h, int64_t first_w,
                   float* values, const StridedBox& box) {
  for (int64_t h = 0; h < box.extent.h; ++h) {
    int64_t position = box.at(0, h);
    for (int64_t w = 0; w < box.extent.w; ++w, position += box.w_pitch) {
      values[position] = static_cast<float>(static_cast<double>(values[position]) /
                                            light.at(field, first_h + h, first_w + w));
    }
  }
}

void LightSums::add_row(const Extent3& field, int64_t row, std::span<const float> values) {
  const double y = place(row, field.h);
  std::array<double, 3> moments{};  // of the values: 1, x, x^2
  std::array<double, 5> powers{};   // sums of x^0 ... x^4
  for (int64_t w = 0; w < field.w; ++w) {
    const double x = place(w, field.w);
    const auto value = static_cast<double>(values[static_cast<size_t>(w)]);
    moments[0] += value;
    moments[1] += value * x;
    moments[2] += value * x * x;
    powers[0] += 1;
    powers[1] += x;
    powers[2] += x * x;
    powers[3] += x * x * x;
    powers[4] += x * x * x * x;
  }
  // Powers of y and x in each term.
  constexpr std::array<std::pair<int, size_t>, kTerms> kPowers{
      {{0, 0}, {1, 0}, {0, 1}, {2, 0}, {1, 1}, {0, 2}}};
  const std::array<double, 5> of_y{1, y, y * y, y * y * y, y * y * y * y};
  for (size_t i = 0; i < kTerms; ++i) {
    values_[i] += of_y[static_cast<size_t>(kPowers[i].first)] * moments[kPowers[i].second];
    for (size_t k = 0; k < kTerms; ++k) {
      products_[i * kTerms + k] += of_y[static_cast<size_t>(kPowers[i].first + kPowers[k].first)] *
                                   powers[kPowers[i].second + kPowers[k].second];
    }
  }
}

void LightSums::add(const LightSums& other) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] += other.values_[i];
  for (size_t i = 0; i < products_.size(); ++i) products_[i] += other.products_[i];
}

LightField LightSums::fit() const {
  const double pixels = products_[0];
  if (!(pixels > 0) || !(values_[0] > 0)) return {};
  std::array<double, kTerms* kTerms> products = products_;
  LightField light;
  for (double& product : products) product /= pixels;
  // Relative to the mean, so that the light's mean is 1.
  for (size_t i = 0; i < kTerms; ++i) light.terms[i] = values_[i] / values_[0];
  if (!solve(products, &light.terms)) return {};
  return light;
}

}  // namespace wholemount
