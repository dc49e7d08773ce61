#pragma once

#include <cstdint>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// A box of elements in memory: voxel (d, h, w) lies at offset + d * d_pitch + h * h_pitch +
/// w * w_pitch elements. Pitches may be negative or swapped, so a mirrored or rotated box is one
/// too.
struct StridedBox {
  Extent3 extent;
  int64_t offset = 0;
  int64_t d_pitch = 0;
  int64_t h_pitch = 0;
  int64_t w_pitch = 0;

  [[nodiscard]] int64_t at(int64_t d, int64_t h) const {
    return offset + d * d_pitch + h * h_pitch;
  }
};

/// Calls body(position) with every element position of the box, in the order d, h, w.
template <class Body>
void for_each_voxel(const StridedBox& box, const Body& body) {
  for (int64_t d = 0; d < box.extent.d; ++d) {
    for (int64_t h = 0; h < box.extent.h; ++h) {
      int64_t position = box.at(d, h);
      for (int64_t w = 0; w < box.extent.w; ++w, position += box.w_pitch) body(position);
    }
  }
}

}  // namespace wholemount
