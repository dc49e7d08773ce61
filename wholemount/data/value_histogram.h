#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wholemount {

/// Counts of float32 values by sign, exponent and 11 bits of mantissa. Gives order statistics of
/// any number of values from 8 MiB, in one pass and whatever the order they arrive in: a quantile
/// is at most 2^-11 of its magnitude too near to 0, and exact where values have at most 12
/// significant bits (whole numbers to 4096).
class ValueHistogram {
 public:
  static constexpr size_t kBytes = size_t{8} << 20;

  ValueHistogram();

  /// A finite value; denormal numbers count as 0.
  void add(float value) { ++counts_[bin_of(value)]; }
  /// Adds the counts of another histogram.
  void merge(const ValueHistogram& other);

  [[nodiscard]] int64_t count() const;
  [[nodiscard]] int64_t zeros() const;

  /// The smallest values that at least `percents[i]` % of the values are not above, for rising
  /// percents from 0 to 100; with `nonzero`, of the values that are not 0. No values: empty.
  [[nodiscard]] std::vector<double> percentiles(std::span<const double> percents,
                                                bool nonzero) const;

 private:
  static size_t bin_of(float value);
  static double value_of(size_t bin);

  std::vector<int64_t> counts_;
};

}  // namespace wholemount
