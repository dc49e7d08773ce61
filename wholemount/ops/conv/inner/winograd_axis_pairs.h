#pragma once

#include <cstddef>

#include "wholemount/base/simd/f16.h"
#include "wholemount/ops/conv/inner/winograd_axis.h"

/// Winograd axes on the points 0, +-p for some p, and infinity, from the list of the p alone (the
/// matrices are those of winograd_axis.h). Every loop is unrolled and every coefficient known to
/// the compiler.
namespace wholemount::WM_ISA {

/// The positive points, and functions of their squares.
template <size_t kPairs>
struct PointPairs {
  float point[kPairs];

  [[nodiscard]] constexpr float square(size_t i) const { return point[i] * point[i]; }
  /// The coefficient of t^(2k) in the product of (t^2 - square) over the points but `but`.
  [[nodiscard]] constexpr float coefficient(size_t k, size_t but = kPairs) const {
    float c[kPairs + 1] = {1.0F};
    for (size_t i = 0; i < kPairs; ++i) {
      if (i == but) continue;
      for (size_t j = kPairs; j > 0; --j) c[j] = c[j - 1] - c[j] * square(i);
      c[0] *= -square(i);
    }
    return c[k];
  }
  /// 1 / product of (p - q) over the other points q, for p = +-point[i] and for p = 0.
  [[nodiscard]] constexpr float scale(size_t i) const {
    float product = 2.0F * square(i);
    for (size_t j = 0; j < kPairs; ++j) product *= j == i ? 1.0F : square(i) - square(j);
    return 1.0F / product;
  }
  [[nodiscard]] constexpr float scale_of_zero() const { return 1.0F / coefficient(0); }
};

template <int kNumOutputs, int kNumTaps, size_t kPairs, PointPairs<kPairs> kP>
struct PairedAxis {
  static constexpr int kOutputs = kNumOutputs;
  static constexpr int kTaps = kNumTaps;
  static constexpr int kPoints = kOutputs + kTaps - 1;
  static_assert(kPoints == 2 * static_cast<int>(kPairs) + 2);

  static void input(const F16* x, F16* v) {
    v[0] = product<kPairs>(kPairs, x);
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      const F16 even = product<kPairs - 1>(i, x + 2);
      const F16 odd = product<kPairs - 1>(i, x + 1);
      v[1 + 2 * i] = fma(F16::set1(kP.point[i]), odd, even);
      v[2 + 2 * i] = fma(F16::set1(-kP.point[i]), odd, even);
    }
    v[kPoints - 1] = product<kPairs>(kPairs, x + 1);
  }
  static void filter(const F16* g, F16* u) {
    u[0] = F16::set1(kP.scale_of_zero()) * g[0];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      const F16 even = F16::set1(kP.scale(i)) * powers<(kTaps + 1) / 2>(i, g);
      const F16 odd = F16::set1(kP.scale(i) * kP.point[i]) * powers<kTaps / 2>(i, g + 1);
      u[1 + 2 * i] = even + odd;
      u[2 + 2 * i] = even - odd;
    }
    u[kPoints - 1] = g[kTaps - 1];
  }
  static void coarse(const F16* y, F16* m) {
    m[0] = y[0];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      const F16 even = powers<(kOutputs + 1) / 2>(i, y);
      const F16 odd = powers<kOutputs / 2>(i, y + 1);
      m[1 + 2 * i] = fma(F16::set1(kP.point[i]), odd, even);
      m[2 + 2 * i] = fma(F16::set1(-kP.point[i]), odd, even);
    }
    m[kPoints - 1] = y[kOutputs - 1];
  }
  static void output(const F16* m, F16* y) {
    F16 even[kPairs];
    F16 odd[kPairs];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      even[i] = m[1 + 2 * i] + m[2 + 2 * i];
      odd[i] = F16::set1(kP.point[i]) * (m[1 + 2 * i] - m[2 + 2 * i]);
    }
    sums_of_powers<kOutputs>(even, odd, y);
    y[0] = y[0] + m[0];
    y[kOutputs - 1] = y[kOutputs - 1] + m[kPoints - 1];
  }
  /// A^T m + start: each sum begins with `start`, and no product is rounded by itself.
  static void output_onto(const F16& start, const F16* m, F16* y) {
    F16 part[2][kPairs];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      part[0][i] = m[1 + 2 * i] + m[2 + 2 * i];
      part[1][i] = m[1 + 2 * i] - m[2 + 2 * i];
    }
    // The sums side by side, for the latency of the multiply-adds.
#pragma GCC unroll 6
    for (int k = 0; k < kOutputs; ++k) y[k] = start;
    y[0] = y[0] + m[0];
    y[kOutputs - 1] = y[kOutputs - 1] + m[kPoints - 1];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
#pragma GCC unroll 6
      for (int k = 0; k < kOutputs; ++k) {
        const F16& term = part[k % 2][i];
        const float factor = power(i, k / 2) * (k % 2 == 0 ? 1.0F : kP.point[i]);
        y[k] = factor == 1.0F ? y[k] + term : fma(F16::set1(factor), term, y[k]);
      }
    }
  }
  static void filter_adjoint(const F16* u, F16* g) {
    F16 even[kPairs];
    F16 odd[kPairs];
#pragma GCC unroll 4
    for (size_t i = 0; i < kPairs; ++i) {
      even[i] = F16::set1(kP.scale(i)) * (u[1 + 2 * i] + u[2 + 2 * i]);
      odd[i] = F16::set1(kP.scale(i) * kP.point[i]) * (u[1 + 2 * i] - u[2 + 2 * i]);
    }
    sums_of_powers<kTaps>(even, odd, g);
    g[0] = fma(F16::set1(kP.scale_of_zero()), u[0], g[0]);
    g[kTaps - 1] = g[kTaps - 1] + u[kPoints - 1];
  }

 private:
  /// The sum over every second x with the coefficients of the product, of degree kDegree in t^2,
  /// of (t^2 - square) over the points but `but`.
  template <size_t kDegree>
  static F16 product(size_t but, const F16* x) {
    F16 sum = x[2 * kDegree];
#pragma GCC unroll 4
    for (size_t k = kDegree; k > 0; --k) {
      sum = fma(F16::set1(kP.coefficient(k - 1, but)), x[2 * (k - 1)], sum);
    }
    return sum;
  }
  /// The sum of square^k x[2k] for k < kCount.
  template <int kCount>
  static F16 powers(size_t i, const F16* x) {
    F16 sum = x[2 * (kCount - 1)];
#pragma GCC unroll 4
    for (int k = kCount - 1; k > 0; --k) sum = fma(F16::set1(kP.square(i)), sum, x[2 * (k - 1)]);
    return sum;
  }
  /// y[2k] = the sum of square^k even over the pairs, y[2k + 1] that of odd.
  template <int kCount>
  static void sums_of_powers(const F16* even, const F16* odd, F16* y) {
#pragma GCC unroll 6
    for (int k = 0; k < kCount; ++k) {
      const F16* of_pair = k % 2 == 0 ? even : odd;
      F16 sum = k > 1 ? F16::set1(power(0, k / 2)) * of_pair[0] : of_pair[0];
#pragma GCC unroll 4
      for (size_t i = 1; i < kPairs; ++i) {
        sum = k > 1 ? fma(F16::set1(power(i, k / 2)), of_pair[i], sum) : of_pair[i] + sum;
      }
      y[k] = sum;
    }
  }
  static constexpr float power(size_t i, int exponent) {
    float result = 1.0F;
    for (int k = 0; k < exponent; ++k) result *= kP.square(i);
    return result;
  }
};

/// Within a factor of 1.6 of the best triples of sixteenths that a search found, and all constants
/// but those of G are exact.
constexpr PointPairs<3> kEightPoints{{0.5F, 1.0F, 2.0F}};
/// Of the quadruples of quarters the one with the least error (a search; five to six times that of
/// the eight points), and again exact.
constexpr PointPairs<4> kTenPoints{{0.5F, 0.75F, 1.25F, 2.5F}};

template <>
struct WinogradAxis<4, 5> : PairedAxis<4, 5, 3, kEightPoints> {};
template <>
struct WinogradAxis<6, 5> : PairedAxis<6, 5, 4, kTenPoints> {};

}  // namespace wholemount::WM_ISA
