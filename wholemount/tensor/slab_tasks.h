#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// Cuts a tensor into tasks by its shape alone: one task is a sample, a channel block and a band of
/// whole planes, or of whole rows of one plane where a plane is large. For memory-bound kernels.
class SlabTasks {
 public:
  struct Task {
    int64_t n = 0;
    int64_t block = 0;
    Box3 box;  ///< full width
  };

  static constexpr int64_t kTaskBytes = int64_t{256} << 10;

  /// Bands hold about `bytes_per_task` of `desc`, at least one row.
  explicit SlabTasks(const TensorDesc& desc, int64_t bytes_per_task = kTaskBytes)
      : extent_(desc.extent), blocks_(desc.num_blocks()), n_(desc.n) {
    const int64_t row_bytes = checked_multiply(checked_multiply(desc.extent.w, desc.block_width()),
                                               dtype_bytes(desc.dtype));
    band_h_ = std::clamp<int64_t>(bytes_per_task / std::max<int64_t>(row_bytes, 1), 1, extent_.h);
    bands_h_ = divide_up(extent_.h, band_h_);
    if (bands_h_ == 1) {
      const int64_t plane_bytes = checked_multiply(row_bytes, extent_.h);
      band_d_ =
          std::clamp<int64_t>(bytes_per_task / std::max<int64_t>(plane_bytes, 1), 1, extent_.d);
    }
    bands_d_ = divide_up(extent_.d, band_d_);
  }

  [[nodiscard]] int64_t count() const {
    return checked_multiply(checked_multiply(n_, blocks_), checked_multiply(bands_d_, bands_h_));
  }

  [[nodiscard]] Task at(int64_t task) const {
    const int64_t band_h = task % bands_h_;
    task /= bands_h_;
    const int64_t band_d = task % bands_d_;
    task /= bands_d_;
    Task result;
    result.n = task / blocks_;
    result.block = task % blocks_;
    result.box.begin = {band_d * band_d_, band_h * band_h_, 0};
    result.box.end = {std::min(extent_.d, (band_d + 1) * band_d_),
                      std::min(extent_.h, (band_h + 1) * band_h_), extent_.w};
    return result;
  }

 private:
  Extent3 extent_;
  int64_t blocks_;
  int64_t n_;
  int64_t band_d_ = 1;
  int64_t band_h_ = 1;
  int64_t bands_d_ = 1;
  int64_t bands_h_ = 1;
};

/// Calls body(d, h, count) for the runs of a full-width box that are contiguous in all `views`
/// (tensors of the same extent and block width); `count` in elements. One run for the whole box
/// where possible.
template <class Body>
void for_each_run(const Box3& box, std::initializer_list<const TensorView*> views, Body body) {
  bool rows_joined = true;
  bool planes_joined = true;
  for (const TensorView* view : views) {
    const Extent3& extent = view->desc.extent;
    rows_joined = rows_joined && view->row_pitch == extent.w * view->desc.block_width();
    planes_joined = planes_joined && view->plane_pitch == view->row_pitch * extent.h &&
                    box.extent().h == extent.h;
  }
  const TensorDesc& desc = (*views.begin())->desc;
  const int64_t row = desc.extent.w * desc.block_width();
  const Extent3 size = box.extent();
  if (rows_joined && (planes_joined || size.d == 1)) {
    body(box.begin.d, box.begin.h, row * size.h * size.d);
    return;
  }
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    if (rows_joined) {
      body(d, box.begin.h, row * size.h);
      continue;
    }
    for (int64_t h = box.begin.h; h < box.end.h; ++h) body(d, h, row);
  }
}

}  // namespace wholemount
