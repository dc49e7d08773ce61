#include "wholemount/data/placement.h"

#include <algorithm>

#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"

namespace wholemount {

namespace {

struct AxisPlacement {
  int64_t source_begin;
  int64_t valid_begin;
  int64_t length;
  int64_t padded;
};

AxisPlacement place_axis(int64_t size, std::optional<int64_t> fixed, int64_t multiple) {
  const int64_t padded = fixed ? *fixed : round_up(size, multiple);
  if (size > padded) return {(size - padded) / 2, 0, padded, padded};
  return {0, (padded - size) / 2, size, padded};
}

void check_fixed(const Extent3& shape, const Extent3& multiple) {
  const auto fits = [](int64_t size, int64_t unit) { return size > 0 && size % unit == 0; };
  if (fits(shape.d, multiple.d) && fits(shape.h, multiple.h) && fits(shape.w, multiple.w)) return;
  const Extent3 near{round_up(std::max<int64_t>(shape.d, 1), multiple.d),
                     round_up(std::max<int64_t>(shape.h, 1), multiple.h),
                     round_up(std::max<int64_t>(shape.w, 1), multiple.w)};
  throw ConfigError("data.shape = " + to_string(shape) + ": this net needs multiples of " +
                    to_string(multiple) + "; the next such shape is " + to_string(near));
}

}  // namespace

Placement place_volume(const Extent3& stored, const ShapeSpec& spec) {
  if (spec.fixed) check_fixed(*spec.fixed, spec.multiple);
  const auto fixed = [&](int64_t Extent3::*axis) {
    return spec.fixed ? std::optional((*spec.fixed).*axis) : std::nullopt;
  };
  const AxisPlacement d = place_axis(stored.d, fixed(&Extent3::d), spec.multiple.d);
  const AxisPlacement h = place_axis(stored.h, fixed(&Extent3::h), spec.multiple.h);
  const AxisPlacement w = place_axis(stored.w, fixed(&Extent3::w), spec.multiple.w);
  Placement placement;
  placement.padded = {d.padded, h.padded, w.padded};
  placement.source = {
      {d.source_begin, h.source_begin, w.source_begin},
      {d.source_begin + d.length, h.source_begin + h.length, w.source_begin + w.length}};
  placement.valid = {
      {d.valid_begin, h.valid_begin, w.valid_begin},
      {d.valid_begin + d.length, h.valid_begin + h.length, w.valid_begin + w.length}};
  return placement;
}

}  // namespace wholemount
