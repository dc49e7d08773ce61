#include "wholemount/exec/inner/outer_product_sum.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

/// Partial sums that wait for their like: one for each bit of the number of groups.
constexpr int kMaxWaiting = 63;
constexpr int kVectors = 4;

/// kCount vectors of one row. A product plus zero has the bits of a sum that begins with it.
template <int kCount>
void sum_row(const OuterProductSum& sum, int64_t row, const float* columns, float* out) {
  F16 waiting[kMaxWaiting][kCount];
  int num_waiting = 0;
  F16 newest[kCount];
  for (int64_t t = 0; t < sum.num_terms; ++t) {
    const OuterProductTerm& term = sum.terms[t];
    const F16 factor = F16::set1(sum.rows[t * sum.sample_pitch + row]);
    const float* values = columns + t * sum.sample_pitch;
    if (term.accumulate) {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        newest[i] = newest[i] + fma(F16::load(values + i * 16), factor, F16::zero());
      }
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        if (t > 0) waiting[num_waiting][i] = newest[i];
        newest[i] = fma(F16::load(values + i * 16), factor, F16::zero());
      }
      num_waiting += t > 0 ? 1 : 0;
    }
    for (int32_t merge = 0; merge < term.num_merges; ++merge) {
      --num_waiting;
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) newest[i] = waiting[num_waiting][i] + newest[i];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) newest[i].store(out + i * 16);
}

/// One column less than a vector at a time, the same operations.
void sum_single(const OuterProductSum& sum, int64_t row, const float* column, float* out) {
  float waiting[kMaxWaiting];
  int num_waiting = 0;
  float newest = 0.0F;
  for (int64_t t = 0; t < sum.num_terms; ++t) {
    const float product = column[t * sum.sample_pitch] * sum.rows[t * sum.sample_pitch + row];
    const float term = product + 0.0F;
    if (sum.terms[t].accumulate) {
      newest = newest + term;
    } else {
      if (t > 0) waiting[num_waiting++] = newest;
      newest = term;
    }
    for (int32_t merge = 0; merge < sum.terms[t].num_merges; ++merge) {
      newest = waiting[--num_waiting] + newest;
    }
  }
  *out = newest;
}

}  // namespace

void outer_product_sum(const OuterProductSum& sum, int64_t first) {
  const int64_t left = sum.num_columns - first;
  const int64_t count = left < kOuterProductColumns ? left : kOuterProductColumns;
  for (int64_t row = 0; row < sum.num_rows; ++row) {
    const float* columns = sum.columns + first;
    float* out = sum.out + row * sum.num_columns + first;
    int64_t c = 0;
    for (; c + kVectors * 16 <= count; c += kVectors * 16) {
      sum_row<kVectors>(sum, row, columns + c, out + c);
    }
    for (; c + 16 <= count; c += 16) sum_row<1>(sum, row, columns + c, out + c);
    for (; c < count; ++c) sum_single(sum, row, columns + c, out + c);
  }
}

}  // namespace wholemount::WM_ISA
