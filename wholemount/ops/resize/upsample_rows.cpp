#include "wholemount/ops/resize/upsample_rows.h"

#include "wholemount/base/simd/f16_shuffle.h"

namespace wholemount::WM_ISA {

namespace {

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
      return load_some(p, rest);
    }).store(buffer);
    for (int64_t k = 0; k < rest; ++k) rows.y[i + k] = buffer[k];
  }
}

}  // namespace

void combine_rows(const CombineRows& rows) {
  rows.identity ? combine_all<true>(rows) : combine_all<false>(rows);
}

namespace {

/// The taps of one phase at voxel w; an unused second tap is not read: 0 * inf is not 0.
struct Taps {
  const float* first;
  const float* second;
};
Taps taps_of(const ExpandRow& row, int64_t w, int64_t phase) {
  const float* here = row.x + w * row.block_width;
  const float* before = w > 0 ? here - row.block_width : here;
  const float* after = w + 1 < row.width ? here + row.block_width : here;
  const float* first = phase < row.begins_before ? before : here;
  const float* second = phase < row.begins_before ? here : after;
  return {first, row.weight[phase] == 0.0F ? first : second};
}

void expand_plain_voxel(const ExpandRow& row, int64_t w) {
  for (int64_t phase = 0; phase < row.factor; ++phase) {
    const Taps taps = taps_of(row, w, phase);
    row.y[w * row.factor + phase] = *taps.first + row.weight[phase] * (*taps.second - *taps.first);
  }
}

/// The sixteen voxels from w on; the row's last voxel is repeated beyond its end.
F16 voxels_from(const ExpandRow& row, int64_t w) {
  if (w + 16 <= row.width) return F16::load(row.x + w);
  alignas(64) float buffer[16];
  for (int64_t i = 0; i < 16; ++i) buffer[i] = row.x[w + i < row.width ? w + i : row.width - 1];
  return F16::load(buffer);
}

/// Two phases a voxel: sixteen voxels at a time, their phases interleaved. Neighbours come out of
/// registers: a load that straddles two vectors just written to the row would wait until they have
/// reached the cache, behind all the results written before them.
void expand_plain_by_two(const ExpandRow& row) {
  const bool linear = row.begins_before != 0;
  const F16 weight0 = F16::set1(row.weight[0]);
  const F16 weight1 = F16::set1(row.weight[1]);
  F16 here = voxels_from(row, 0);
  F16 previous = F16::set1(row.x[0]);
  for (int64_t w = 0; w < row.width; w += 16) {
    const F16 next =
        w + 16 < row.width ? voxels_from(row, w + 16) : F16::set1(row.x[row.width - 1]);
    F16 even = here;
    F16 odd = here;
    if (linear) {
      const F16 before = shift_up(previous, here);
      even = fma(weight0, here - before, before);
      odd = fma(weight1, shift_down(here, next) - here, here);
    }
    store_some_interleaved(even, odd, row.y + 2 * w, row.width - w < 16 ? row.width - w : 16);
    previous = here;
    here = next;
  }
}

template <bool kStream>
void expand_blocked(const ExpandRow& row) {
  for (int64_t w = 0; w < row.width; ++w) {
    for (int64_t phase = 0; phase < row.factor; ++phase) {
      const Taps taps = taps_of(row, w, phase);
      const F16 first = F16::load(taps.first);
      // a + t (b - a): exact where both taps are the same voxel.
      const F16 y = fma(F16::set1(row.weight[phase]), F16::load(taps.second) - first, first);
      if (kStream) {
        y.stream(row.y + (w * row.factor + phase) * 16);
      } else {
        y.store(row.y + (w * row.factor + phase) * 16);
      }
    }
  }
}

}  // namespace

void expand_row(const ExpandRow& row) {
  if (row.block_width == 1) {
    if (row.factor == 2) {
      expand_plain_by_two(row);
    } else {
      for (int64_t w = 0; w < row.width; ++w) expand_plain_voxel(row, w);
    }
    return;
  }
  row.stream ? expand_blocked<true>(row) : expand_blocked<false>(row);
}

namespace {

void contract_plain_voxel(const ContractRow& row, const ContractRow::Weights& weights, int64_t w) {
  const float* x = row.x + w * row.factor + weights.offset;
  float sum = 0.0F;
  for (int64_t k = 0; k < weights.count; ++k) sum += x[k] * weights.values[k];
  row.grad_x[w] = sum;
}

void contract_plain(const ContractRow& row) {
  contract_plain_voxel(row, row.first, 0);
  for (int64_t w = 1; w < row.width - 1; w += 16) {
    const int64_t count = row.width - 1 - w < 16 ? row.width - 1 - w : 16;
    const float* x = row.x + w * row.factor + row.inner.offset;
    F16 sum = F16::zero();
    for (int64_t k = 0; k < row.inner.count; ++k) {
      sum = fma(load_some_strided(x + k, row.factor, count), F16::set1(row.inner.values[k]), sum);
    }
    store_some(sum, row.grad_x + w, count);
  }
  if (row.width > 1) contract_plain_voxel(row, row.last, row.width - 1);
}

}  // namespace

void contract_row(const ContractRow& row) {
  if (row.block_width == 1) {
    contract_plain(row);
    return;
  }
  for (int64_t w = 0; w < row.width; ++w) {
    const ContractRow::Weights& weights =
        w == 0 ? row.first : (w == row.width - 1 ? row.last : row.inner);
    const float* x = row.x + (w * row.factor + weights.offset) * 16;
    F16 sum = F16::zero();
    for (int64_t k = 0; k < weights.count; ++k) {
      sum = fma(F16::load(x + k * 16), F16::set1(weights.values[k]), sum);
    }
    sum.store(row.grad_x + w * 16);
  }
}

}  // namespace wholemount::WM_ISA
