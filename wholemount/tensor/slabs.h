#pragma once

#include <algorithm>
#include <cstdint>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// A cut of an extent into slabs: runs of whole planes along d (rows along h when d = 1) of about
/// the wanted number of voxels, at least one plane each. Depends on its arguments only.
/// E.g. 144x240x240 at 65,536 voxels: 144 slabs of one plane.
class SlabCut {
 public:
  SlabCut() = default;
  SlabCut(const Extent3& extent, int64_t wanted_voxels) : extent_(extent) {
    const int64_t plane = slabs_are_rows(extent) ? extent.w : checked_multiply(extent.h, extent.w);
    thickness_ = std::max<int64_t>(1, wanted_voxels / std::max<int64_t>(1, plane));
    num_slabs_ = divide_up(slabs_are_rows(extent) ? extent.h : extent.d, thickness_);
  }

  [[nodiscard]] int64_t num_slabs() const { return num_slabs_; }
  /// The voxels of slab `index`; within a channel block they lie in one contiguous run.
  [[nodiscard]] Box3 box(int64_t index) const {
    Box3 result = whole_box(extent_);
    const int64_t begin = index * thickness_;
    if (slabs_are_rows(extent_)) {
      result.begin.h = begin;
      result.end.h = std::min(begin + thickness_, extent_.h);
    } else {
      result.begin.d = begin;
      result.end.d = std::min(begin + thickness_, extent_.d);
    }
    return result;
  }

 private:
  Extent3 extent_;
  int64_t thickness_ = 1;
  int64_t num_slabs_ = 0;
};

}  // namespace wholemount
