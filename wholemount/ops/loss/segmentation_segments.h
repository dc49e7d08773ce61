#pragma once

#include <algorithm>
#include <cstdint>

#include "wholemount/tensor/slabs.h"

namespace wholemount {

/// Voxels per task of the segmentation kernels: fewer the more channels each voxel has.
inline int64_t segmentation_task_voxels(int64_t channels) {
  return std::max<int64_t>(4096, 65536 / channels);
}

/// Visits the voxels of a slab (SlabCut::box: whole rows) in order, as (d, h, w of the first,
/// count) of runs that lie side by side in memory and hold at most 4,096 voxels.
template <class Visit>
void for_each_segment(const Box3& slab, const Visit& visit) {
  constexpr int64_t kMaxVoxels = 4096;
  const int64_t width = slab.end.w;
  const int64_t most_rows = std::max<int64_t>(1, kMaxVoxels / std::max<int64_t>(1, width));
  for (int64_t d = slab.begin.d; d < slab.end.d; ++d) {
    for (int64_t h = slab.begin.h; h < slab.end.h; h += most_rows) {
      const int64_t count = std::min(most_rows, slab.end.h - h) * width;
      for (int64_t done = 0; done < count; done += kMaxVoxels) {
        visit(d, h, done, std::min(kMaxVoxels, count - done));
      }
    }
  }
}

}  // namespace wholemount
