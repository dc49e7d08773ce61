#pragma once

#include "wholemount/ops/conv/inner/winograd_axis.h"

namespace wholemount::WM_ISA {

/// The positive points and functions of their squares.
struct TenPoints {
  static constexpr int kPairs = 4;
  static constexpr float kPoint[kPairs] = {0.5F, 0.75F, 1.25F, 2.5F};

  static constexpr float square(int i) { return kPoint[i] * kPoint[i]; }
  /// Elementary symmetric function of degree k of the squares, that of point `but` left out.
  static constexpr float symmetric(int k, int but) {
    float e[kPairs + 1] = {1.0F, 0.0F, 0.0F, 0.0F, 0.0F};
    for (int i = 0; i < kPairs; ++i) {
      if (i == but) continue;
      for (int j = kPairs; j > 0; --j) e[j] += e[j - 1] * square(i);
    }
    return e[k];
  }
  static constexpr float symmetric(int k) { return symmetric(k, kPairs); }
  /// 1 / product of (p - q) over the other points q.
  static constexpr float scale(int i) {
    float product = 2.0F * square(i);
    for (int j = 0; j < kPairs; ++j) product *= j == i ? 1.0F : square(i) - square(j);
    return 1.0F / product;
  }
};

/// Five taps on the points 0, +-1/2, +-3/4, +-5/4, +-5/2, infinity: of the quadruples of quarters
/// the one with the least error (a search; about five times that of WinogradAxis<4, 5>), and all
/// constants but those of G are exact.
template <>
struct WinogradAxis<6, 5> {
  static constexpr int kOutputs = 6;
  static constexpr int kTaps = 5;
  static constexpr int kPoints = 10;
  using P = TenPoints;
  static constexpr int kPairs = P::kPairs;
  static constexpr float kScale0 = 1.0F / P::symmetric(4);

  /// x[0] times the product of (t^2 - square), read as powers of t: every second x.
  static F16 all_points(const F16* x) {
    return fma(
        F16::set1(P::symmetric(4)), x[0],
        fma(F16::set1(-P::symmetric(3)), x[2],
            fma(F16::set1(P::symmetric(2)), x[4], fma(F16::set1(-P::symmetric(1)), x[6], x[8]))));
  }
  template <int kPair>
  static F16 other_points(const F16* x) {
    constexpr float kProduct = P::symmetric(3, kPair);
    constexpr float kTwos = P::symmetric(2, kPair);
    constexpr float kSum = P::symmetric(1, kPair);
    return fma(F16::set1(-kProduct), x[0],
               fma(F16::set1(kTwos), x[2], fma(F16::set1(-kSum), x[4], x[6])));
  }
  template <int kPair>
  static void input_pair(const F16* x, F16* v) {
    const F16 even = other_points<kPair>(x + 2);
    const F16 odd = other_points<kPair>(x + 1);
    v[1 + 2 * kPair] = fma(F16::set1(P::kPoint[kPair]), odd, even);
    v[2 + 2 * kPair] = fma(F16::set1(-P::kPoint[kPair]), odd, even);
  }
  static void input(const F16* x, F16* v) {
    v[0] = all_points(x);
    input_pair<0>(x, v);
    input_pair<1>(x, v);
    input_pair<2>(x, v);
    input_pair<3>(x, v);
    v[9] = all_points(x + 1);
  }

  template <int kPair>
  static void filter_pair(const F16* g, F16* u) {
    constexpr float kScale = P::scale(kPair);
    const F16 s = F16::set1(P::square(kPair));
    const F16 even = F16::set1(kScale) * fma(s, fma(s, g[4], g[2]), g[0]);
    const F16 odd = F16::set1(kScale * P::kPoint[kPair]) * fma(s, g[3], g[1]);
    u[1 + 2 * kPair] = even + odd;
    u[2 + 2 * kPair] = even - odd;
  }
  static void filter(const F16* g, F16* u) {
    u[0] = F16::set1(kScale0) * g[0];
    filter_pair<0>(g, u);
    filter_pair<1>(g, u);
    filter_pair<2>(g, u);
    filter_pair<3>(g, u);
    u[9] = g[4];
  }

  /// The sum over pairs of square^k times what belongs to the pair, small squares first.
  template <int kPower>
  static F16 weighted(const F16* of_pair) {
    if constexpr (kPower == 0) {
      return (of_pair[0] + of_pair[1]) + (of_pair[2] + of_pair[3]);
    } else {
      constexpr auto kWeight = [](int i) {
        return kPower == 1 ? P::square(i) : P::square(i) * P::square(i);
      };
      const F16 low = fma(F16::set1(kWeight(0)), of_pair[0], F16::set1(kWeight(1)) * of_pair[1]);
      return fma(F16::set1(kWeight(3)), of_pair[3], fma(F16::set1(kWeight(2)), of_pair[2], low));
    }
  }
  static void output(const F16* m, F16* y) {
    const F16 even[kPairs] = {m[1] + m[2], m[3] + m[4], m[5] + m[6], m[7] + m[8]};
    const F16 odd[kPairs] = {
        F16::set1(P::kPoint[0]) * (m[1] - m[2]), F16::set1(P::kPoint[1]) * (m[3] - m[4]),
        F16::set1(P::kPoint[2]) * (m[5] - m[6]), F16::set1(P::kPoint[3]) * (m[7] - m[8])};
    y[0] = m[0] + weighted<0>(even);
    y[1] = weighted<0>(odd);
    y[2] = weighted<1>(even);
    y[3] = weighted<1>(odd);
    y[4] = weighted<2>(even);
    y[5] = weighted<2>(odd) + m[9];
  }

  template <int kPair>
  static void coarse_pair(const F16* y, F16* m) {
    const F16 s = F16::set1(P::square(kPair));
    const F16 even = fma(s, fma(s, y[4], y[2]), y[0]);
    const F16 odd = fma(s, fma(s, y[5], y[3]), y[1]);
    m[1 + 2 * kPair] = fma(F16::set1(P::kPoint[kPair]), odd, even);
    m[2 + 2 * kPair] = fma(F16::set1(-P::kPoint[kPair]), odd, even);
  }
  static void coarse(const F16* y, F16* m) {
    m[0] = y[0];
    coarse_pair<0>(y, m);
    coarse_pair<1>(y, m);
    coarse_pair<2>(y, m);
    coarse_pair<3>(y, m);
    m[9] = y[5];
  }

  static void filter_adjoint(const F16* u, F16* g) {
    F16 even[kPairs];
    F16 odd[kPairs];
    adjoint_pair<0>(u, even, odd);
    adjoint_pair<1>(u, even, odd);
    adjoint_pair<2>(u, even, odd);
    adjoint_pair<3>(u, even, odd);
    g[0] = fma(F16::set1(kScale0), u[0], weighted<0>(even));
    g[1] = weighted<0>(odd);
    g[2] = weighted<1>(even);
    g[3] = weighted<1>(odd);
    g[4] = weighted<2>(even) + u[9];
  }

 private:
  template <int kPair>
  static void adjoint_pair(const F16* u, F16* even, F16* odd) {
    constexpr float kScale = P::scale(kPair);
    even[kPair] = F16::set1(kScale) * (u[1 + 2 * kPair] + u[2 + 2 * kPair]);
    odd[kPair] = F16::set1(kScale * P::kPoint[kPair]) * (u[1 + 2 * kPair] - u[2 + 2 * kPair]);
  }
};

}  // namespace wholemount::WM_ISA
