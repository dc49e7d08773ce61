#pragma once

#include <cstdint>

#include "wholemount/base/simd/f16.h"
#include "wholemount/base/simd/lane_moments.h"

namespace wholemount::WM_ISA {

/// The sums of a short piece of values about its first one, in float32.
///
/// With n values of mean m and squared deviations M2, chains of at most k additions and a unit
/// roundoff u = 2^-24, the piece's mean is off by at most k u (sqrt(M2 / n) + |m - first|) and its
/// M2 by about 4 k u (M2 + n (m - first)^2), rounding errors all of one sign; with independent ones
/// sqrt(k) stands for k. The first value is one of them, so n (m - first)^2 is about M2 unless it
/// lies far outside, and never more than n M2. A common offset of all values, however large, is
/// gone with value - first, which is exact where the two are within a factor of two.
struct PieceMoments {
  F16 first;
  F16 sum;
  F16 squares;
};

/// Joins a piece of `count` values in float64 (Chan, Golub, LeVeque 1979).
inline void join_piece(const PieceMoments& piece, int64_t count, LaneMoments& all) {
  alignas(64) float first[16];
  alignas(64) float sum[16];
  alignas(64) float squares[16];
  piece.first.store(first);
  piece.sum.store(sum);
  piece.squares.store(squares);
  const auto values = static_cast<double>(count);
  const double inverse = 1.0 / values;
  const double total = all.count + values;
  const double weight = values / total;
  const double spread = all.count * weight;
  for (int lane = 0; lane < 16; ++lane) {
    const double offset = static_cast<double>(sum[lane]) * inverse;
    const double m2 = static_cast<double>(squares[lane]) - static_cast<double>(sum[lane]) * offset;
    const double delta = static_cast<double>(first[lane]) + offset - all.mean[lane];
    all.mean[lane] += delta * weight;
    all.m2[lane] += (m2 > 0.0 ? m2 : 0.0) + delta * delta * spread;
  }
  all.count = total;
}

}  // namespace wholemount::WM_ISA
