#include "wholemount/ops/pool/average_pool_rows.h"

#include "wholemount/base/simd/f16_shuffle.h"

namespace wholemount::WM_ISA {

void add_weighted_row(const WeightedRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  const F16 weight = F16::set1(row.weight);
  int64_t i = 0;
  for (; i + 16 <= row.count; i += 16) {
    const F16 before = row.accumulate ? F16::load(row.y + i) : F16::zero();
    fma(transform.apply(F16::load(row.x + i)), weight, before).store(row.y + i);
  }
  if (i < row.count) {
    float x[16] = {};
    float y[16] = {};
    for (int64_t k = i; k < row.count; ++k) {
      x[k - i] = row.x[k];
      if (row.accumulate) y[k - i] = row.y[k];
    }
    fma(transform.apply(F16::load(x)), weight, F16::load(y)).store(y);
    for (int64_t k = i; k < row.count; ++k) row.y[k] = y[k - i];
  }
}

namespace {

/// Windows of two voxels side by side.
bool are_pairs(const WindowsRow& row) {
  return row.kernel == 2 && row.stride == 2 && row.padding == 0;
}

void average_plain_pairs(const WindowsRow& row) {
  for (int64_t o = 0; o < row.num_windows; o += 16) {
    const int64_t count = row.num_windows - o < 16 ? row.num_windows - o : 16;
    const F16 sum =
        load_some_strided(row.x + 2 * o, 2, count) + load_some_strided(row.x + 2 * o + 1, 2, count);
    store_some(sum * load_some(row.weight + o, count), row.y + o, count);
  }
}

void spread_plain_pairs(const WindowsRow& row) {
  const auto base = [&](int64_t w, int64_t count) {
    return row.base != nullptr ? load_some(row.base + w, count) : F16::zero();
  };
  for (int64_t o = 0; o < row.num_windows; o += 16) {
    const int64_t count = row.num_windows - o < 16 ? row.num_windows - o : 16;
    const F16 share = load_some(row.x + o, count) * load_some(row.weight + o, count);
    F16 low;
    F16 high;
    interleave(share, share, low, high);
    store_some(base(2 * o, 2 * count) + low, row.y + 2 * o, 2 * count);
    if (count > 8) {
      const int64_t rest = 2 * count - 16;
      store_some(base(2 * o + 16, rest) + high, row.y + 2 * o + 16, rest);
    }
  }
  for (int64_t w = 2 * row.num_windows; w < row.width; ++w) {
    row.y[w] = row.base != nullptr ? row.base[w] : 0.0F;
  }
}

}  // namespace

void average_windows_row(const WindowsRow& row) {
  if (row.block_width == 1 && are_pairs(row)) {
    average_plain_pairs(row);
    return;
  }
  for (int64_t o = 0; o < row.num_windows; ++o) {
    const int64_t first = o * row.stride - row.padding;
    const int64_t begin = first < 0 ? 0 : first;
    const int64_t end = first + row.kernel > row.width ? row.width : first + row.kernel;
    if (row.block_width == 16) {
      F16 sum = F16::zero();
      for (int64_t w = begin; w < end; ++w) sum = sum + F16::load(row.x + w * 16);
      (sum * F16::set1(row.weight[o])).store(row.y + o * 16);
    } else {
      float sum = 0.0F;
      for (int64_t w = begin; w < end; ++w) sum += row.x[w];
      row.y[o] = sum * row.weight[o];
    }
  }
}

void spread_windows_row(const WindowsRow& row) {
  if (row.block_width == 1 && are_pairs(row)) {
    spread_plain_pairs(row);
    return;
  }
  const int64_t floats = row.width * row.block_width;
  for (int64_t i = 0; i < floats; ++i) row.y[i] = row.base != nullptr ? row.base[i] : 0.0F;
  for (int64_t o = 0; o < row.num_windows; ++o) {
    const int64_t first = o * row.stride - row.padding;
    const int64_t begin = first < 0 ? 0 : first;
    const int64_t end = first + row.kernel > row.width ? row.width : first + row.kernel;
    if (row.block_width == 16) {
      const F16 share = F16::load(row.x + o * 16) * F16::set1(row.weight[o]);
      for (int64_t w = begin; w < end; ++w) {
        (F16::load(row.y + w * 16) + share).store(row.y + w * 16);
      }
    } else {
      const float share = row.x[o] * row.weight[o];
      for (int64_t w = begin; w < end; ++w) row.y[w] += share;
    }
  }
}

}  // namespace wholemount::WM_ISA
