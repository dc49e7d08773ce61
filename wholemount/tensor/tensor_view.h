#pragma once

#include <cstddef>
#include <cstdint>

#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

/// A tensor with memory; non-owning, trivially copyable.
///
/// A view may be a *window*: it then holds only a run of planes along d (rows along h when
/// extent.d = 1) of each channel block. Kernels do not see the difference: they index with the
/// coordinates of the whole tensor, `origin` points to where voxel (0, 0, 0) would lie, and the
/// caller promises that everything the task touches is held. Pitches are in elements.
struct TensorView {
  TensorDesc desc;
  std::byte* origin = nullptr;
  int64_t block_pitch = 0;  ///< from one channel block to the next (also across samples)
  int64_t plane_pitch = 0;  ///< from d to d + 1
  int64_t row_pitch = 0;    ///< from h to h + 1

  /// The address of lane 0 of channel block `block` of sample `n` at voxel (d, h, w).
  template <class T>
  [[nodiscard]] T* at(int64_t n, int64_t block, int64_t d = 0, int64_t h = 0, int64_t w = 0) const {
    const int64_t offset = (n * desc.num_blocks() + block) * block_pitch + d * plane_pitch +
                           h * row_pitch + w * desc.block_width();
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(origin) +
                                static_cast<uintptr_t>(offset) * sizeof(T));
  }
  /// The same for kernels that read float32 or bfloat16, whichever the view has.
  [[nodiscard]] const void* address(int64_t n, int64_t block, int64_t d = 0, int64_t h = 0,
                                    int64_t w = 0) const {
    return is_bfloat16() ? at<const uint16_t>(n, block, d, h, w)
                         : static_cast<const void*>(at<const float>(n, block, d, h, w));
  }
  [[nodiscard]] bool is_bfloat16() const { return desc.dtype == DType::bf16; }
};

/// A view of a whole tensor stored contiguously at `data` (desc.bytes() bytes).
[[nodiscard]] TensorView whole_view(const TensorDesc& desc, std::byte* data);

/// A window at `data` that holds, of every channel block of every sample, the planes
/// [first, first + count) along the slab axis.
[[nodiscard]] TensorView window_view(const TensorDesc& desc, std::byte* data, int64_t first,
                                     int64_t count);

/// The axis slabs are cut along: true = rows (extent.d == 1), false = planes.
[[nodiscard]] inline bool slabs_are_rows(const Extent3& extent) { return extent.d == 1; }

/// Run-time form of a LoadTransform: read x as y = z > 0 ? z : slope * z with
/// z = fma(scale[c], x, shift[c]). scale == nullptr means z = x; slope == 1 means no activation.
/// Arrays have round_up(c, 16) elements of the tensor's arithmetic type (float, double for f64),
/// zero beyond c. Zero padding of a convolution stays zero (it is not transformed).
struct LoadTransformView {
  const void* scale = nullptr;
  const void* shift = nullptr;
  float slope = 1.0F;
  [[nodiscard]] bool identity() const { return scale == nullptr && slope == 1.0F; }
};

/// One input of a kernel.
struct InputView {
  TensorView view;
  LoadTransformView transform;
};

/// One output of a kernel. `accumulate` asks to add to what is there instead of overwriting; it is
/// set only for parameter gradients, and the addition happens once per element, after the kernel's
/// own reduction is complete.
struct OutputView {
  TensorView view;
  bool accumulate = false;
};

}  // namespace wholemount
