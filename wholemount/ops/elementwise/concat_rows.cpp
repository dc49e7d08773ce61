#include "wholemount/ops/elementwise/concat_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

void copy_block_row(const CopyBlockRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  for (int64_t i = 0; i < row.count; i += 16) {
    transform.apply(F16::load(row.x + i)).store(row.y + i);
  }
}

void copy_channel_row(const CopyChannelRow& row) {
  if (row.x == nullptr) {
    for (int64_t i = 0; i < row.count; ++i) row.y[i * row.y_stride] = 0.0F;
    return;
  }
  const LoadTransform16 transform{F16::set1(row.scale), F16::set1(row.shift), F16::set1(row.slope)};
  for (int64_t i = 0; i < row.count; i += 16) {
    const int64_t part = row.count - i < 16 ? row.count - i : 16;
    float buffer[16] = {};
    for (int64_t k = 0; k < part; ++k) buffer[k] = row.x[(i + k) * row.x_stride];
    transform.apply(F16::load(buffer)).store(buffer);
    for (int64_t k = 0; k < part; ++k) row.y[(i + k) * row.y_stride] = buffer[k];
  }
}

}  // namespace wholemount::WM_ISA
