#pragma once

#include <cstdint>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// One element of a tensor of any layout and of type f32, f64 or u8 (bf16 reads as 0), as double:
/// for reference kernels and tests, not for speed.
inline double read_element(const TensorView& view, int64_t n, int64_t c, int64_t d, int64_t h,
                           int64_t w) {
  const int64_t width = view.desc.block_width();
  const int64_t block = c / width;
  const int64_t lane = c % width;
  switch (view.desc.dtype) {
    case DType::f32:
      return static_cast<double>(view.at<float>(n, block, d, h, w)[lane]);
    case DType::f64:
      return view.at<double>(n, block, d, h, w)[lane];
    case DType::u8:
      return static_cast<double>(view.at<uint8_t>(n, block, d, h, w)[lane]);
    case DType::bf16:
      break;
  }
  return 0.0;
}

/// The counterpart of read_element(); `c` may be a padding lane of the last channel block.
inline void write_element(const TensorView& view, int64_t n, int64_t c, int64_t d, int64_t h,
                          int64_t w, double value) {
  const int64_t width = view.desc.block_width();
  const int64_t block = c / width;
  const int64_t lane = c % width;
  switch (view.desc.dtype) {
    case DType::f32:
      view.at<float>(n, block, d, h, w)[lane] = static_cast<float>(value);
      break;
    case DType::f64:
      view.at<double>(n, block, d, h, w)[lane] = value;
      break;
    case DType::u8:
      view.at<uint8_t>(n, block, d, h, w)[lane] = static_cast<uint8_t>(value);
      break;
    case DType::bf16:
      break;
  }
}

}  // namespace wholemount
