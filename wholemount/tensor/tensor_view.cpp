#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

TensorView whole_view(const TensorDesc& desc, std::byte* data) {
  TensorView view;
  view.desc = desc;
  view.origin = data;
  view.row_pitch = desc.extent.w * desc.block_width();
  view.plane_pitch = view.row_pitch * desc.extent.h;
  view.block_pitch = view.plane_pitch * desc.extent.d;
  return view;
}

TensorView window_view(const TensorDesc& desc, std::byte* data, int64_t first, int64_t count) {
  TensorView view = whole_view(desc, data);
  const int64_t pitch = slabs_are_rows(desc.extent) ? view.row_pitch : view.plane_pitch;
  view.block_pitch = pitch * count;
  // The address of voxel (0, 0, 0) may lie outside the held memory; it is never dereferenced.
  view.origin =
      reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(data) -
                                   static_cast<uintptr_t>(pitch * first * dtype_bytes(desc.dtype)));
  return view;
}

}  // namespace wholemount
