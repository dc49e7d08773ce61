#include "wholemount/ops/resize/upsample_axis.h"

#include <algorithm>

namespace wholemount {

UpsampleAxis::UpsampleAxis(UpsampleMode mode, int64_t factor, int64_t input)
    : mode_(mode), factor_(factor), input_(input) {
  tables_ = {make_table(0), make_table(std::min<int64_t>(1, input - 1)), make_table(input - 1)};
}

UpsampleAxis::Taps UpsampleAxis::taps(int64_t o) const {
  const int64_t nearest = o / factor_;
  if (mode_ == UpsampleMode::nearest) return {nearest, nearest, 0.0};
  const double offset =
      (static_cast<double>(o % factor_) + 0.5) / static_cast<double>(factor_) - 0.5;
  Taps taps{nearest, nearest + 1, offset};
  if (offset < 0.0) taps = {nearest - 1, nearest, 1.0 + offset};
  taps.first = std::max<int64_t>(taps.first, 0);
  taps.second = std::min(taps.second, input_ - 1);
  if (taps.weight == 0.0) taps.second = taps.first;
  // At an edge both taps are the same voxel.
  if (taps.second == taps.first) taps.weight = 0.0;
  return taps;
}

UpsampleAxis::Table UpsampleAxis::make_table(int64_t i) const {
  Table table;
  const int64_t begin = std::max<int64_t>(0, (i - 1) * factor_);
  const int64_t end = std::min(output(), (i + 2) * factor_);
  for (int64_t o = begin; o < end; ++o) {
    const Taps from = taps(o);
    const double weight =
        (from.first == i ? 1.0 - from.weight : 0.0) + (from.second == i ? from.weight : 0.0);
    if (weight == 0.0) continue;
    if (table.weights.empty()) table.offset = o - i * factor_;
    table.weights.push_back(static_cast<float>(weight));
  }
  return table;
}

UpsampleAxis::Adjoint UpsampleAxis::adjoint(int64_t i) const {
  const Table& table = tables_[i == 0 ? 0U : i == input_ - 1 ? 2U : 1U];
  return {i * factor_ + table.offset, &table.weights};
}

UpsampleGeometry::UpsampleGeometry(const UpsampleSpec& spec, const Extent3& input)
    : d(spec.mode, spec.factor.d, input.d),
      h(spec.mode, spec.factor.h, input.h),
      w(spec.mode, spec.factor.w, input.w) {}

Box3 UpsampleGeometry::inputs_of(const Box3& outputs) const {
  if (outputs.empty()) return {};
  return {
      {d.taps(outputs.begin.d).first, h.taps(outputs.begin.h).first, w.taps(outputs.begin.w).first},
      {d.taps(outputs.end.d - 1).second + 1, h.taps(outputs.end.h - 1).second + 1,
       w.taps(outputs.end.w - 1).second + 1}};
}

Box3 UpsampleGeometry::outputs_of(const Box3& inputs) const {
  if (inputs.empty()) return {};
  return {{d.adjoint(inputs.begin.d).begin, h.adjoint(inputs.begin.h).begin,
           w.adjoint(inputs.begin.w).begin},
          {d.adjoint(inputs.end.d - 1).end(), h.adjoint(inputs.end.h - 1).end(),
           w.adjoint(inputs.end.w - 1).end()}};
}

}  // namespace wholemount
