#include "wholemount/ops/resize/upsample_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

F16 load_part(const float* p, int64_t count) {
  float buffer[16] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return F16::load(buffer);
}

template <bool kIdentity, class Load>
F16 combine(const CombineRows& rows, const LoadTransform16& transform, int64_t i, Load load) {
  F16 sum = rows.accumulate ? load(rows.y + i) : F16::zero();
  for (int64_t k = 0; k < rows.num_rows; ++k) {
    const F16 x = load(rows.x[k] + i);
    sum = fma(kIdentity ? x : transform.apply(x), F16::set1(rows.weight[k]), sum);
  }
  return sum;
}

template <bool kIdentity>
void combine_all(const CombineRows& rows) {
  const LoadTransform16 transform{F16::load(rows.scale), F16::load(rows.shift),
                                  F16::set1(rows.slope)};
  int64_t i = 0;
  for (; i + 16 <= rows.count; i += 16) {
    combine<kIdentity>(rows, transform, i, [](const float* p) {
      return F16::load(p);
    }).store(rows.y + i);
  }
  const int64_t rest = rows.count - i;
  if (rest > 0) {
    float buffer[16];
    combine<kIdentity>(rows, transform, i, [rest](const float* p) {
      return load_part(p, rest);
    }).store(buffer);
    for (int64_t k = 0; k < rest; ++k) rows.y[i + k] = buffer[k];
  }
}

}  // namespace

void combine_rows(const CombineRows& rows) {
  rows.identity ? combine_all<true>(rows) : combine_all<false>(rows);
}

void expand_row(const ExpandRow& row) {
  const int64_t bw = row.block_width;
  for (int64_t w = 0; w < row.width; ++w) {
    const float* here = row.x + w * bw;
    const float* before = w > 0 ? here - bw : here;
    const float* after = w + 1 < row.width ? here + bw : here;
    float* y = row.y + w * row.factor * bw;
    for (int64_t phase = 0; phase < row.factor; ++phase) {
      const float* first = phase < row.begins_before ? before : here;
      const float weight = row.weight[phase];
      // An unused tap must not be read: 0 * inf is not 0.
      const float* second = weight == 0.0F ? first : (phase < row.begins_before ? here : after);
      if (bw == 16) {
        const F16 a = F16::load(first);
        // a + t (b - a): exact where both taps are the same voxel.
        fma(F16::set1(weight), F16::load(second) - a, a).store(y + phase * 16);
      } else {
        y[phase] = *first + weight * (*second - *first);
      }
    }
  }
}

void contract_row(const ContractRow& row) {
  const int64_t bw = row.block_width;
  for (int64_t w = 0; w < row.width; ++w) {
    const ContractRow::Weights& weights =
        w == 0 ? row.first : (w == row.width - 1 ? row.last : row.inner);
    const float* x = row.x + (w * row.factor + weights.offset) * bw;
    if (bw == 16) {
      F16 sum = F16::zero();
      for (int64_t k = 0; k < weights.count; ++k) {
        sum = fma(F16::load(x + k * 16), F16::set1(weights.values[k]), sum);
      }
      sum.store(row.grad_x + w * 16);
    } else {
      float sum = 0.0F;
      for (int64_t k = 0; k < weights.count; ++k) sum += x[k] * weights.values[k];
      row.grad_x[w] = sum;
    }
  }
}

}  // namespace wholemount::WM_ISA
