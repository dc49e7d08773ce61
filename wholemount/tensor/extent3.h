#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "wholemount/base/checked.h"

namespace wholemount {

/// Three sizes in the order d, h, w: an image, kernel, stride, padding. 2-D is d = 1.
/// w, h, d are a file's x, y, z.
struct Extent3 {
  int64_t d = 1;
  int64_t h = 1;
  int64_t w = 1;
  friend bool operator==(const Extent3&, const Extent3&) = default;
};

/// Number of voxels; throws ShapeError on overflow.
inline int64_t volume(const Extent3& extent) {
  return checked_multiply(checked_multiply(extent.d, extent.h), extent.w);
}

/// Half-open box [begin, end) of voxels. Empty when any axis has end <= begin.
struct Box3 {
  Extent3 begin{0, 0, 0};
  Extent3 end{0, 0, 0};
  friend bool operator==(const Box3&, const Box3&) = default;
  [[nodiscard]] bool empty() const {
    return end.d <= begin.d || end.h <= begin.h || end.w <= begin.w;
  }
  [[nodiscard]] Extent3 extent() const {
    return empty() ? Extent3{0, 0, 0} : Extent3{end.d - begin.d, end.h - begin.h, end.w - begin.w};
  }
};

/// The box of a whole extent.
inline Box3 whole_box(const Extent3& extent) { return {{0, 0, 0}, extent}; }

/// The part of `box` inside `extent`.
inline Box3 clip(const Box3& box, const Extent3& extent) {
  return {{std::max<int64_t>(box.begin.d, 0), std::max<int64_t>(box.begin.h, 0),
           std::max<int64_t>(box.begin.w, 0)},
          {std::min(box.end.d, extent.d), std::min(box.end.h, extent.h),
           std::min(box.end.w, extent.w)}};
}

/// True when `inner` lies in `outer` (an empty box lies in every box).
inline bool contains(const Box3& outer, const Box3& inner) {
  return inner.empty() || (inner.begin.d >= outer.begin.d && inner.begin.h >= outer.begin.h &&
                           inner.begin.w >= outer.begin.w && inner.end.d <= outer.end.d &&
                           inner.end.h <= outer.end.h && inner.end.w <= outer.end.w);
}

/// "144x240x240"
inline std::string to_string(const Extent3& extent) {
  return std::to_string(extent.d) + "x" + std::to_string(extent.h) + "x" + std::to_string(extent.w);
}

}  // namespace wholemount
