#pragma once

namespace wholemount {

/// Number of values, mean and sum of squared deviations of a set of values.
struct Moments {
  double count = 0.0;
  double mean = 0.0;
  double m2 = 0.0;

  /// Joins a second set (Chan, Golub, LeVeque 1979); the order of merges fixes the bits.
  void merge(const Moments& other) {
    if (other.count == 0.0) {
      return;
    }
    const double total = count + other.count;
    const double delta = other.mean - mean;
    mean += delta * (other.count / total);
    m2 += other.m2 + delta * delta * (count * (other.count / total));
    count = total;
  }
};

}  // namespace wholemount
