#include "wholemount/ops/conv/inner/dense_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

/// The last `count` < 16 values, zeros behind them.
F16 load_tail(const float* values, int64_t count) {
  float lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = values[i];
  return F16::load(lanes);
}

double sum_lanes(const F16& vector) {
  float lanes[16];
  vector.store(lanes);
  double sum = 0.0;
  for (const float lane : lanes) sum += static_cast<double>(lane);
  return sum;
}

template <int kRows, int kSamples>
void dot(DenseDot& d) {
  constexpr int64_t kRun = 4096;
  for (auto& row : d.sums) {
    for (double& sum : row) sum = 0.0;
  }
  for (int64_t begin = 0; begin < d.count; begin += kRun) {
    const int64_t end = begin + kRun < d.count ? begin + kRun : d.count;
    F16 sum[kRows][kSamples];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int s = 0; s < kSamples; ++s) sum[r][s] = F16::zero();
    }
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      F16 x[kSamples];
#pragma GCC unroll 4
      for (int s = 0; s < kSamples; ++s) x[s] = F16::load(d.values[s] + i);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const F16 w = F16::load(d.weights + r * d.row_pitch + i);
#pragma GCC unroll 4
        for (int s = 0; s < kSamples; ++s) sum[r][s] = fma(w, x[s], sum[r][s]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int s = 0; s < kSamples; ++s) {
        if (i < end) {
          sum[r][s] = fma(load_tail(d.weights + r * d.row_pitch + i, end - i),
                          load_tail(d.values[s] + i, end - i), sum[r][s]);
        }
        d.sums[r][s] += sum_lanes(sum[r][s]);
      }
    }
  }
}

template <int kSamples>
void dot_rows(DenseDot& d) {
  // Fewer rows are rare (the last ones); one at a time keeps the code small.
  if (d.num_rows == kDenseRows) {
    dot<kDenseRows, kSamples>(d);
    return;
  }
  DenseDot one = d;
  for (int32_t r = 0; r < d.num_rows; ++r) {
    one.weights = d.weights + r * d.row_pitch;
    dot<1, kSamples>(one);
    for (int s = 0; s < kSamples; ++s) d.sums[r][s] = one.sums[0][s];
  }
}

/// kRows rows into the sums, which they start or join.
template <int kRows, int kSamples>
void add_rows(const DenseColumns& c, int64_t first) {
  const float* weights = c.weights + first * c.row_pitch;
  for (int64_t j = 0; j < c.count; j += 16) {
    const bool whole = j + 16 <= c.count;
    F16 sum[kSamples];
#pragma GCC unroll 4
    for (int s = 0; s < kSamples; ++s) {
      sum[s] = first == 0 ? F16::zero()
               : whole    ? F16::load(c.sums[s] + j)
                          : load_tail(c.sums[s] + j, c.count - j);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float* row = weights + r * c.row_pitch + j;
      const F16 w = whole ? F16::load(row) : load_tail(row, c.count - j);
#pragma GCC unroll 4
      for (int s = 0; s < kSamples; ++s) {
        sum[s] = fma(w, F16::set1(c.factors[s][first + r]), sum[s]);
      }
    }
    for (int s = 0; s < kSamples; ++s) {
      if (whole) {
        sum[s].store(c.sums[s] + j);
      } else {
        float lanes[16];
        sum[s].store(lanes);
        for (int64_t i = 0; i < c.count - j; ++i) c.sums[s][j + i] = lanes[i];
      }
    }
  }
}

template <int kSamples>
void columns_of(const DenseColumns& c) {
  int64_t row = 0;
  for (; row + 8 <= c.num_rows; row += 8) add_rows<8, kSamples>(c, row);
  for (; row < c.num_rows; ++row) add_rows<1, kSamples>(c, row);
}

}  // namespace

#define WM_FOR_SAMPLES(count, call) \
  switch (count) {                  \
    case 1:                         \
      return call<1>;               \
    case 2:                         \
      return call<2>;               \
    case 3:                         \
      return call<3>;               \
    default:                        \
      return call<4>;               \
  }

namespace {
auto pick_dot(int32_t samples) -> void (*)(DenseDot&) { WM_FOR_SAMPLES(samples, &dot_rows) }
auto pick_columns(int32_t samples) -> void (*)(const DenseColumns&) {
  WM_FOR_SAMPLES(samples, &columns_of)
}
}  // namespace

#undef WM_FOR_SAMPLES

void dense_dot(DenseDot& dot_product) { pick_dot(dot_product.num_samples)(dot_product); }

void dense_columns(const DenseColumns& columns) { pick_columns(columns.num_samples)(columns); }

void dense_outer_row(const DenseOuterRow& row) {
  int64_t j = 0;
  for (; j + 16 <= row.count; j += 16) {
    F16 sum = F16::zero();
    for (int64_t s = 0; s < row.num_samples; ++s) {
      sum = fma(F16::load(row.values + s * row.value_pitch + j),
                F16::set1(row.factors[s * row.factor_pitch]), sum);
    }
    (row.accumulate ? F16::load(row.out + j) + sum : sum).store(row.out + j);
  }
  if (j == row.count) return;
  F16 sum = F16::zero();
  for (int64_t s = 0; s < row.num_samples; ++s) {
    sum = fma(load_tail(row.values + s * row.value_pitch + j, row.count - j),
              F16::set1(row.factors[s * row.factor_pitch]), sum);
  }
  float lanes[16];
  sum.store(lanes);
  for (int64_t i = 0; i < row.count - j; ++i) {
    row.out[j + i] = row.accumulate ? row.out[j + i] + lanes[i] : lanes[i];
  }
}

}  // namespace wholemount::WM_ISA
