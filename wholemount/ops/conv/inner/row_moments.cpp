#include "wholemount/ops/conv/inner/row_moments.h"

#include "wholemount/base/simd/piece_moments.h"

namespace wholemount::WM_ISA {

namespace {

constexpr int64_t kPieceVectors = 128;

}  // namespace

void row_moments(const float* x, int64_t num_vectors, LaneMoments& all) {
  for (int64_t done = 0; done < num_vectors; done += kPieceVectors) {
    const int64_t left = num_vectors - done;
    const int64_t count = left < kPieceVectors ? left : kPieceVectors;
    const float* piece = x + 16 * done;
    const F16 first = F16::load(piece);
    // Two chains each, which the latency of an addition asks for.
    F16 sum[2] = {F16::zero(), F16::zero()};
    F16 squares[2] = {F16::zero(), F16::zero()};
    const auto add = [&](int64_t i, int chain) {
      const F16 deviation = F16::load(piece + 16 * i) - first;
      sum[chain] = sum[chain] + deviation;
      squares[chain] = fma(deviation, deviation, squares[chain]);
    };
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      add(i, 0);
      add(i + 1, 1);
    }
    if (i < count) add(i, 0);
    join_piece({first, sum[0] + sum[1], squares[0] + squares[1]}, count, all);
  }
}

}  // namespace wholemount::WM_ISA
