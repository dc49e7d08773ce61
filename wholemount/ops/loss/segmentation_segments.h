#pragma once

#include <algorithm>
#include <cstdint>

#include "wholemount/tensor/slabs.h"

namespace wholemount {

/// Voxels per task of the segmentation kernels: fewer the more channels each voxel has.
inline int64_t segmentation_task_voxels(int64_t channels) {
  return std::max<int64_t>(4096, 65536 / channels);
}

inline Box3 intersect(const Box3& a, const Box3& b) {
  return {{std::max(a.begin.d, b.begin.d), std::max(a.begin.h, b.begin.h),
           std::max(a.begin.w, b.begin.w)},
          {std::min(a.end.d, b.end.d), std::min(a.end.h, b.end.h), std::min(a.end.w, b.end.w)}};
}

/// Visits the voxels of `box` in order, as (d, h, w of the first, count) of runs that lie side by
/// side in memory and hold at most 4,096 voxels.
template <class Visit>
void for_each_segment(const Box3& box, const Extent3& extent, const Visit& visit) {
  constexpr int64_t kMaxVoxels = 4096;
  if (box.empty()) {
    return;
  }
  const int64_t width = box.end.w - box.begin.w;
  // Whole rows of a plane follow one another.
  const int64_t most_rows =
      width == extent.w ? std::max<int64_t>(1, kMaxVoxels / std::max<int64_t>(1, width)) : 1;
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; h += most_rows) {
      const int64_t count = std::min(most_rows, box.end.h - h) * width;
      for (int64_t done = 0; done < count; done += kMaxVoxels) {
        visit(d, h, box.begin.w + done, std::min(kMaxVoxels, count - done));
      }
    }
  }
}

}  // namespace wholemount
