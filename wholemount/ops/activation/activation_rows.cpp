#include "wholemount/ops/activation/activation_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

void apply_row(const ApplyRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  int64_t i = 0;
  for (; i + 16 <= row.count; i += 16) transform.apply(F16::load(row.x + i)).store(row.y + i);
  if (i < row.count) {
    // Through a full vector, so that the tail rounds like the rest.
    float buffer[16] = {};
    for (int64_t k = i; k < row.count; ++k) buffer[k - i] = row.x[k];
    transform.apply(F16::load(buffer)).store(buffer);
    for (int64_t k = i; k < row.count; ++k) row.y[k] = buffer[k - i];
  }
}

namespace {

/// The whole vectors of a row; returns how many floats these are.
template <class Element>
int64_t backward_vectors(const ActivationBackwardRow& row) {
  const auto* x = static_cast<const Element*>(row.x);
  const F16 slope = F16::set1(row.slope);
  int64_t i = 0;
  for (; i + 16 <= row.count; i += 16) {
    const F16 gradient = F16::load(row.grad_y + i);
    select_greater(F16::load(x + i), F16::zero(), gradient, gradient * slope).store(row.grad_x + i);
  }
  return i;
}

}  // namespace

void activation_backward_row(const ActivationBackwardRow& row) {
  if (row.bfloat16) {
    backward_vectors<Bfloat16>(row);
    return;
  }
  const auto* x = static_cast<const float*>(row.x);
  for (int64_t i = backward_vectors<float>(row); i < row.count; ++i) {
    row.grad_x[i] = x[i] > 0.0F ? row.grad_y[i] : row.slope * row.grad_y[i];
  }
}

}  // namespace wholemount::WM_ISA
