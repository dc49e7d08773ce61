#include "wholemount/ops/norm/norm_lanes.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

// 512 vectors are 32 KiB: the second pass over a piece reads the first-level cache.
constexpr int64_t kPieceVectors = 512;

// Moments of one piece of `count` vectors.
void piece_moments(const float* x, int64_t count, double* mean, double* m2) {
  const F16 origin = F16::load(x);
  F16 sum0 = F16::zero();
  F16 sum1 = F16::zero();
  F16 sum2 = F16::zero();
  F16 sum3 = F16::zero();
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    sum0 = sum0 + (F16::load(x + 16 * i) - origin);
    sum1 = sum1 + (F16::load(x + 16 * i + 16) - origin);
    sum2 = sum2 + (F16::load(x + 16 * i + 32) - origin);
    sum3 = sum3 + (F16::load(x + 16 * i + 48) - origin);
  }
  for (; i < count; ++i) {
    sum0 = sum0 + (F16::load(x + 16 * i) - origin);
  }
  const F16 inverse = F16::set1(1.0F / static_cast<float>(count));
  const F16 estimate = origin + ((sum0 + sum1) + (sum2 + sum3)) * inverse;

  sum0 = F16::zero();
  sum1 = F16::zero();
  F16 square0 = F16::zero();
  F16 square1 = F16::zero();
  for (i = 0; i + 2 <= count; i += 2) {
    const F16 even = F16::load(x + 16 * i) - estimate;
    const F16 odd = F16::load(x + 16 * i + 16) - estimate;
    sum0 = sum0 + even;
    sum1 = sum1 + odd;
    square0 = fma(even, even, square0);
    square1 = fma(odd, odd, square1);
  }
  if (i < count) {
    const F16 last = F16::load(x + 16 * i) - estimate;
    sum0 = sum0 + last;
    square0 = fma(last, last, square0);
  }
  alignas(64) float centre[16];
  alignas(64) float rest[16];
  alignas(64) float square[16];
  estimate.store(centre);
  (sum0 + sum1).store(rest);
  (square0 + square1).store(square);
  const double inverse_count = 1.0 / static_cast<double>(count);
  for (int lane = 0; lane < 16; ++lane) {
    const double offset = static_cast<double>(rest[lane]) * inverse_count;
    const double deviations =
        static_cast<double>(square[lane]) - static_cast<double>(rest[lane]) * offset;
    mean[lane] = static_cast<double>(centre[lane]) + offset;
    m2[lane] = deviations > 0.0 ? deviations : 0.0;
  }
}

}  // namespace

void lane_moments(const float* x, int64_t num_vectors, double* mean, double* m2) {
  alignas(64) double piece_mean[16];
  alignas(64) double piece_m2[16];
  for (int lane = 0; lane < 16; ++lane) {
    mean[lane] = 0.0;
    m2[lane] = 0.0;
  }
  for (int64_t done = 0; done < num_vectors; done += kPieceVectors) {
    const int64_t left = num_vectors - done;
    const int64_t count = left < kPieceVectors ? left : kPieceVectors;
    piece_moments(x + 16 * done, count, piece_mean, piece_m2);
    const auto total = static_cast<double>(done + count);
    const double weight = static_cast<double>(count) / total;
    const double spread = static_cast<double>(done) * weight;
    for (int lane = 0; lane < 16; ++lane) {
      const double delta = piece_mean[lane] - mean[lane];
      mean[lane] += delta * weight;
      m2[lane] += piece_m2[lane] + delta * delta * spread;
    }
  }
}

void lane_gradient_sums(const LaneGradientSums& run) {
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
    const float* x = run.x + 16 * done;
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

void lane_gradient_apply(const LaneGradientApply& run) {
  const LoadTransform16 transform{F16::load(run.scale), F16::load(run.shift), F16::set1(run.slope)};
  const F16 mean = F16::load(run.mean);
  const F16 a = F16::load(run.a);
  const F16 b = F16::load(run.b);
  const F16 c = F16::load(run.c);
  const F16 zero = F16::zero();
  for (int64_t i = 0; i < run.num_vectors; ++i) {
    const F16 x = F16::load(run.x + 16 * i);
    F16 dx = fma(b, x - mean, c);
    if (run.grad != nullptr) {
      const F16 g = F16::load(run.grad + 16 * i);
      const F16 dz = select_greater(transform.linear(x), zero, g, g * transform.slope);
      dx = fma(a, dz, dx);
    }
    dx.store(run.out + 16 * i);
  }
}

}  // namespace wholemount::WM_ISA
