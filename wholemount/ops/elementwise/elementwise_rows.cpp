#include "wholemount/ops/elementwise/elementwise_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

struct Reader {
  explicit Reader(const AddRow::Operand& operand)
      : transform{F16::load(operand.scale), F16::load(operand.shift), F16::set1(operand.slope)},
        identity(operand.identity) {}
  [[nodiscard]] F16 operator()(F16 x) const { return identity ? x : transform.apply(x); }
  LoadTransform16 transform;
  bool identity;
};

F16 load_part(const float* p, int64_t count) {
  float buffer[16] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return F16::load(buffer);
}

}  // namespace

void add_row(const AddRow& row) {
  const Reader a(row.a);
  const Reader b(row.b);
  int64_t i = 0;
  for (; i + 16 <= row.count; i += 16) {
    (a(F16::load(row.a.x + i)) + b(F16::load(row.b.x + i))).store(row.y + i);
  }
  if (i < row.count) {
    float sum[16];
    (a(load_part(row.a.x + i, row.count - i)) + b(load_part(row.b.x + i, row.count - i)))
        .store(sum);
    for (int64_t k = i; k < row.count; ++k) row.y[k] = sum[k - i];
  }
}

}  // namespace wholemount::WM_ISA
