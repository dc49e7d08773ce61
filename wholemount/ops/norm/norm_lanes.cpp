#include "wholemount/ops/norm/norm_lanes.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

// 512 vectors are 32 KiB: the second pass over a piece reads the first-level cache.
constexpr int64_t kPieceVectors = 512;

// Pieces of the moments: two of them fit the first-level cache.
constexpr int64_t kMomentVectors = 256;

// First pass over a piece: its sum about its first vector.
struct PieceSum {
  F16 origin;
  F16 sum[4];

  explicit PieceSum(const float* x) : origin(F16::load(x)) {
    for (F16& part : sum) part = F16::zero();
  }
  // Four vectors `step` apart: a whole piece is read as four streams, for a core brings in only so
  // many lines ahead of each.
  void add_four(const float* x, int64_t step) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] = sum[k] + (F16::load(x + 16 * step * k) - origin);
  }
  void add(const float* x) { sum[0] = sum[0] + (F16::load(x) - origin); }
  [[nodiscard]] F16 mean(int64_t count) const {
    const F16 inverse = F16::set1(1.0F / static_cast<float>(count));
    return origin + ((sum[0] + sum[1]) + (sum[2] + sum[3])) * inverse;
  }
};

// Second pass: sum of deviations from the mean of the first, and of their squares.
struct PieceDeviations {
  F16 centre;
  F16 sum[2];
  F16 square[2];

  explicit PieceDeviations(F16 mean) : centre(mean) {
    sum[0] = sum[1] = square[0] = square[1] = F16::zero();
  }
  void add(const float* x, int k) {
    const F16 deviation = F16::load(x) - centre;
    sum[k] = sum[k] + deviation;
    square[k] = fma(deviation, deviation, square[k]);
  }
  void add_four(const float* x) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) add(x + 16 * k, k % 2);
  }
  void finish(int64_t count, double* mean, double* m2) const {
    alignas(64) float middle[16];
    alignas(64) float rest[16];
    alignas(64) float squares[16];
    centre.store(middle);
    (sum[0] + sum[1]).store(rest);
    (square[0] + square[1]).store(squares);
    const double inverse_count = 1.0 / static_cast<double>(count);
    for (int lane = 0; lane < 16; ++lane) {
      const double offset = static_cast<double>(rest[lane]) * inverse_count;
      const double deviations =
          static_cast<double>(squares[lane]) - static_cast<double>(rest[lane]) * offset;
      mean[lane] = static_cast<double>(middle[lane]) + offset;
      m2[lane] = deviations > 0.0 ? deviations : 0.0;
    }
  }
};

}  // namespace

void lane_moments(const float* x, int64_t num_vectors, double* mean, double* m2) {
  alignas(64) double piece_mean[16];
  alignas(64) double piece_m2[16];
  for (int lane = 0; lane < 16; ++lane) {
    mean[lane] = 0.0;
    m2[lane] = 0.0;
  }
  if (num_vectors == 0) return;
  // The first pass over a piece runs beside the second over the one before, so that the memory is
  // read without pause.
  PieceSum first(x);
  int64_t count = num_vectors < kMomentVectors ? num_vectors : kMomentVectors;
  constexpr int64_t kStep = kMomentVectors / 4;
  int64_t begun = 0;
  if (count == kMomentVectors) {
    for (; begun < kStep; ++begun) first.add_four(x + 16 * begun, kStep);
  } else {
    for (; begun < count; ++begun) first.add(x + 16 * begun);
  }
  for (int64_t done = 0; done < num_vectors;) {
    const float* piece = x + 16 * done;
    const float* next = piece + 16 * count;
    const int64_t left = num_vectors - done - count;
    const int64_t next_count = left < kMomentVectors ? left : kMomentVectors;
    PieceDeviations second(first.mean(count));
    first = PieceSum(next_count > 0 ? next : piece);
    int64_t i = 0;
    if (next_count == kMomentVectors) {
      for (; i < count; i += 4) {
        first.add_four(next + 4 * i, kStep);
        second.add_four(piece + 16 * i);
      }
    } else {
      for (int64_t k = 0; k < next_count; ++k) first.add(next + 16 * k);
    }
    for (; i + 4 <= count; i += 4) second.add_four(piece + 16 * i);
    for (; i < count; ++i) second.add(piece + 16 * i, 0);
    second.finish(count, piece_mean, piece_m2);
    const auto total = static_cast<double>(done + count);
    const double weight = static_cast<double>(count) / total;
    const double spread = static_cast<double>(done) * weight;
    for (int lane = 0; lane < 16; ++lane) {
      const double delta = piece_mean[lane] - mean[lane];
      mean[lane] += delta * weight;
      m2[lane] += piece_m2[lane] + delta * delta * spread;
    }
    done += count;
    count = next_count;
  }
}

namespace {

template <class Element>
void gradient_sums(const LaneGradientSums& run) {
  const LoadTransform16 transform{F16::load(run.scale), F16::load(run.shift), F16::set1(run.slope)};
  const F16 mean = F16::load(run.mean);
  const F16 zero = F16::zero();
  for (int lane = 0; lane < 16; ++lane) {
    run.p1[lane] = 0.0;
    run.p2[lane] = 0.0;
  }
  for (int64_t done = 0; done < run.num_vectors; done += kPieceVectors) {
    const int64_t left = run.num_vectors - done;
    const int64_t count = left < kPieceVectors ? left : kPieceVectors;
    const Element* x = static_cast<const Element*>(run.x) + 16 * done;
    const float* grad = run.grad + 16 * done;
    F16 first0 = zero;
    F16 first1 = zero;
    F16 second0 = zero;
    F16 second1 = zero;
    const auto add = [&](int64_t i, F16& first, F16& second) {
      const F16 value = F16::load(x + 16 * i);
      const F16 g = F16::load(grad + 16 * i);
      const F16 dz = select_greater(transform.linear(value), zero, g, g * transform.slope);
      first = first + dz;
      second = fma(dz, value - mean, second);
    };
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      add(i, first0, second0);
      add(i + 1, first1, second1);
    }
    if (i < count) {
      add(i, first0, second0);
    }
    alignas(64) float first[16];
    alignas(64) float second[16];
    (first0 + first1).store(first);
    (second0 + second1).store(second);
    for (int lane = 0; lane < 16; ++lane) {
      run.p1[lane] += static_cast<double>(first[lane]);
      run.p2[lane] += static_cast<double>(second[lane]) * static_cast<double>(run.rstd[lane]);
    }
  }
}

template <class Element>
void gradient_apply(const LaneGradientApply& run) {
  const auto* values = static_cast<const Element*>(run.x);
  const LoadTransform16 transform{F16::load(run.scale), F16::load(run.shift), F16::set1(run.slope)};
  const F16 mean = F16::load(run.mean);
  const F16 a = F16::load(run.a);
  const F16 b = F16::load(run.b);
  const F16 c = F16::load(run.c);
  const F16 zero = F16::zero();
  for (int64_t i = 0; i < run.num_vectors; ++i) {
    const F16 x = F16::load(values + 16 * i);
    F16 dx = fma(b, x - mean, c);
    if (run.grad != nullptr) {
      const F16 g = F16::load(run.grad + 16 * i);
      const F16 dz = select_greater(transform.linear(x), zero, g, g * transform.slope);
      dx = fma(a, dz, dx);
    }
    dx.store(run.out + 16 * i);
  }
}

}  // namespace

void lane_gradient_sums(const LaneGradientSums& run) {
  run.bfloat16 ? gradient_sums<Bfloat16>(run) : gradient_sums<float>(run);
}

void lane_gradient_apply(const LaneGradientApply& run) {
  run.bfloat16 ? gradient_apply<Bfloat16>(run) : gradient_apply<float>(run);
}

}  // namespace wholemount::WM_ISA
