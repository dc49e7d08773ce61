#pragma once

#include "wholemount/base/simd/f16.h"

/// One-dimensional Winograd transforms (Toom-Cook with the point at infinity) for three and five
/// taps, and the trivial one for one tap. With B, G, A the matrices of
///   y = A^T ((G g) * (B^T x)):
/// input = B^T, filter = G, output = A^T, and for the weight gradient
///   dg = G^T ((A dy) * (B^T x)):
/// coarse = A, filter_adjoint = G^T.
///
/// For the points p with m(t) = product of (t - p): row p of B^T holds the coefficients of
/// m(t) / (t - p), row p of G is (1, p, p^2) / product of (p - q), row p of A is (1, p, p^2, ...);
/// infinity: m(t), (0, 0, 1), (0, ..., 0, 1); rows of G have as many powers as there are taps. Six
/// points are 0, +-5/8, +-3/2: errors are 2.5 to 3 times smaller than with 0, +-1, +-2, and all
/// constants but those of G are exact.
namespace wholemount::WM_ISA {

template <int kOutputs, int kTaps>
struct WinogradAxis;

/// One tap, one output.
template <>
struct WinogradAxis<1, 1> {
  static constexpr int kOutputs = 1;
  static constexpr int kTaps = 1;
  static constexpr int kPoints = 1;
  static void input(const F16* x, F16* v) { v[0] = x[0]; }
  static void filter(const F16* g, F16* u) { u[0] = g[0]; }
  static void output(const F16* m, F16* y) { y[0] = m[0]; }
  static void coarse(const F16* y, F16* m) { m[0] = y[0]; }
  static void filter_adjoint(const F16* u, F16* g) { g[0] = u[0]; }
};

/// Points 0, 1, -1, infinity.
template <>
struct WinogradAxis<2, 3> {
  static constexpr int kOutputs = 2;
  static constexpr int kTaps = 3;
  static constexpr int kPoints = 4;
  static void input(const F16* x, F16* v) {
    v[0] = x[0] - x[2];
    v[1] = x[2] + x[1];
    v[2] = x[2] - x[1];
    v[3] = x[3] - x[1];
  }
  static void filter(const F16* g, F16* u) {
    const F16 half = F16::set1(0.5F);
    const F16 even = half * (g[0] + g[2]);
    const F16 odd = half * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  static void output(const F16* m, F16* y) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) + m[3];
  }
  static void coarse(const F16* y, F16* m) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = y[1];
  }
  static void filter_adjoint(const F16* u, F16* g) {
    const F16 half = F16::set1(0.5F);
    const F16 even = half * (u[1] + u[2]);
    g[0] = u[0] + even;
    g[1] = half * (u[1] - u[2]);
    g[2] = even + u[3];
  }
};

/// Points 0, a, -a, b, -b, infinity with a = 5/8, b = 3/2.
template <>
struct WinogradAxis<4, 3> {
  static constexpr int kOutputs = 4;
  static constexpr int kTaps = 3;
  static constexpr int kPoints = 6;
  static constexpr float kA = 0.625F;
  static constexpr float kB = 1.5F;
  static constexpr float kA2 = kA * kA;
  static constexpr float kB2 = kB * kB;
  // 1 / product of (p - q) over the other points q.
  static constexpr float kScale0 = 1.0F / (kA2 * kB2);
  static constexpr float kScaleA = 1.0F / (2.0F * kA2 * (kA2 - kB2));
  static constexpr float kScaleB = 1.0F / (2.0F * kB2 * (kB2 - kA2));

  static void input(const F16* x, F16* v) {
    const F16 minus_sum = F16::set1(-(kA2 + kB2));
    const F16 product = F16::set1(kA2 * kB2);
    const F16 even_a = fma(F16::set1(-kB2), x[2], x[4]);
    const F16 odd_a = fma(F16::set1(-kB2), x[1], x[3]);
    const F16 even_b = fma(F16::set1(-kA2), x[2], x[4]);
    const F16 odd_b = fma(F16::set1(-kA2), x[1], x[3]);
    v[0] = fma(product, x[0], fma(minus_sum, x[2], x[4]));
    v[1] = fma(F16::set1(kA), odd_a, even_a);
    v[2] = fma(F16::set1(-kA), odd_a, even_a);
    v[3] = fma(F16::set1(kB), odd_b, even_b);
    v[4] = fma(F16::set1(-kB), odd_b, even_b);
    v[5] = fma(product, x[1], fma(minus_sum, x[3], x[5]));
  }
  static void filter(const F16* g, F16* u) {
    const F16 even_a = F16::set1(kScaleA) * fma(F16::set1(kA2), g[2], g[0]);
    const F16 odd_a = F16::set1(kScaleA * kA) * g[1];
    const F16 even_b = F16::set1(kScaleB) * fma(F16::set1(kB2), g[2], g[0]);
    const F16 odd_b = F16::set1(kScaleB * kB) * g[1];
    u[0] = F16::set1(kScale0) * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
  static void output(const F16* m, F16* y) {
    const F16 even_a = m[1] + m[2];
    const F16 odd_a = m[1] - m[2];
    const F16 even_b = m[3] + m[4];
    const F16 odd_b = m[3] - m[4];
    y[0] = (m[0] + even_a) + even_b;
    y[1] = fma(F16::set1(kB), odd_b, F16::set1(kA) * odd_a);
    y[2] = fma(F16::set1(kB2), even_b, F16::set1(kA2) * even_a);
    y[3] = fma(F16::set1(kB * kB2), odd_b, fma(F16::set1(kA * kA2), odd_a, m[5]));
  }
  static void coarse(const F16* y, F16* m) {
    const F16 even_a = fma(F16::set1(kA2), y[2], y[0]);
    const F16 odd_a = fma(F16::set1(kA2), y[3], y[1]);
    const F16 even_b = fma(F16::set1(kB2), y[2], y[0]);
    const F16 odd_b = fma(F16::set1(kB2), y[3], y[1]);
    m[0] = y[0];
    m[1] = fma(F16::set1(kA), odd_a, even_a);
    m[2] = fma(F16::set1(-kA), odd_a, even_a);
    m[3] = fma(F16::set1(kB), odd_b, even_b);
    m[4] = fma(F16::set1(-kB), odd_b, even_b);
    m[5] = y[3];
  }
  static void filter_adjoint(const F16* u, F16* g) {
    const F16 even_a = F16::set1(kScaleA) * (u[1] + u[2]);
    const F16 odd_a = F16::set1(kScaleA * kA) * (u[1] - u[2]);
    const F16 even_b = F16::set1(kScaleB) * (u[3] + u[4]);
    const F16 odd_b = F16::set1(kScaleB * kB) * (u[3] - u[4]);
    g[0] = fma(F16::set1(kScale0), u[0], even_a + even_b);
    g[1] = odd_a + odd_b;
    g[2] = fma(F16::set1(kA2), even_a, fma(F16::set1(kB2), even_b, u[5]));
  }
};

/// Five taps on the points of WinogradAxis<4, 3>, whose input transform serves as it is.
template <>
struct WinogradAxis<2, 5> {
  using Points = WinogradAxis<4, 3>;
  static constexpr int kOutputs = 2;
  static constexpr int kTaps = 5;
  static constexpr int kPoints = 6;
  static constexpr float kA = Points::kA;
  static constexpr float kB = Points::kB;
  static constexpr float kA2 = Points::kA2;
  static constexpr float kB2 = Points::kB2;

  static void input(const F16* x, F16* v) { Points::input(x, v); }
  static void filter(const F16* g, F16* u) {
    const F16 a2 = F16::set1(kA2);
    const F16 b2 = F16::set1(kB2);
    const F16 even_a = F16::set1(Points::kScaleA) * fma(a2, fma(a2, g[4], g[2]), g[0]);
    const F16 odd_a = F16::set1(Points::kScaleA * kA) * fma(a2, g[3], g[1]);
    const F16 even_b = F16::set1(Points::kScaleB) * fma(b2, fma(b2, g[4], g[2]), g[0]);
    const F16 odd_b = F16::set1(Points::kScaleB * kB) * fma(b2, g[3], g[1]);
    u[0] = F16::set1(Points::kScale0) * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[4];
  }
  static void output(const F16* m, F16* y) {
    y[0] = (m[0] + (m[1] + m[2])) + (m[3] + m[4]);
    y[1] = fma(F16::set1(kB), m[3] - m[4], fma(F16::set1(kA), m[1] - m[2], m[5]));
  }
  static void coarse(const F16* y, F16* m) {
    m[0] = y[0];
    m[1] = fma(F16::set1(kA), y[1], y[0]);
    m[2] = fma(F16::set1(-kA), y[1], y[0]);
    m[3] = fma(F16::set1(kB), y[1], y[0]);
    m[4] = fma(F16::set1(-kB), y[1], y[0]);
    m[5] = y[1];
  }
  static void filter_adjoint(const F16* u, F16* g) {
    const F16 a2 = F16::set1(kA2);
    const F16 b2 = F16::set1(kB2);
    const F16 even_a = F16::set1(Points::kScaleA) * (u[1] + u[2]);
    const F16 odd_a = F16::set1(Points::kScaleA * kA) * (u[1] - u[2]);
    const F16 even_b = F16::set1(Points::kScaleB) * (u[3] + u[4]);
    const F16 odd_b = F16::set1(Points::kScaleB * kB) * (u[3] - u[4]);
    g[0] = fma(F16::set1(Points::kScale0), u[0], even_a + even_b);
    g[1] = odd_a + odd_b;
    g[2] = fma(a2, even_a, b2 * even_b);
    g[3] = fma(a2, odd_a, b2 * odd_b);
    g[4] = fma(a2 * a2, even_a, fma(b2 * b2, even_b, u[5]));
  }
};

}  // namespace wholemount::WM_ISA
