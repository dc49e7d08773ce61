#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// One row of outputs (fixed od, oh) of one channel block. Pitches in elements.
struct MaxPoolRow {
  const void* x;  ///< first voxel of the first input row of the window, at w = 0
  bool bfloat16;  ///< what x holds (blocked tensors only); else float32
  int64_t plane_pitch;
  int64_t row_pitch;
  int64_t taps_d;  ///< input rows inside the window: taps_d x taps_h
  int64_t taps_h;
  int64_t block_width;  ///< 16, or 1: plain
  int64_t width;        ///< voxels of an input row
  int64_t kernel_w;
  int64_t stride_w;
  int64_t padding_w;
  int64_t num_outputs;
  const float* scale;  ///< 16 lanes, as are the shifts
  const float* shift;
  float slope;
  /// Position of the maximum in the window is counted from here on, row pitch kernel_w.
  int64_t first_tap;
  int64_t tap_plane_pitch;
  float* y;            ///< maxima, or null
  float* tap;          ///< positions in the window as floats, or null
  bool positive_taps;  ///< the position of a maximum that is not > 0 is kNoTap
};
/// Equals no position.
constexpr float kNoTap = -1.0F;

/// One row of grad_x (fixed d, h) of one channel block: base + the grad_y of the windows whose
/// maximum lies here. Windows (od, oh) of [0, windows_d) x [0, windows_h) from the pointers on
/// touch the row. Pitches in floats.
struct MaxPoolBackwardRow {
  const float* grad_y;  ///< first window row
  int64_t grad_plane_pitch;
  int64_t grad_row_pitch;
  const float* tap;  ///< positions of the maxima, same windows
  int64_t tap_plane_pitch;
  int64_t tap_row_pitch;
  int64_t windows_d;
  int64_t windows_h;
  /// Position in the first window (od, oh) of this row's w tap 0; falls by the steps as od, oh
  /// rise.
  int64_t first_position;
  int64_t position_step_d;
  int64_t position_step_h;
  int64_t block_width;
  int64_t width;
  int64_t kernel_w;
  int64_t stride_w;
  int64_t padding_w;
  int64_t num_windows_w;
  const float* base;  ///< or null; may be grad_x
  float* grad_x;
  /// Blocked tensors: write past the caches; grad_x is 64-byte aligned. Follow with stream_fence().
  bool stream;
};

WM_DECLARE_PER_ISA(void max_pool_row(const MaxPoolRow& row);
                   void max_pool_backward_row(const MaxPoolBackwardRow& row);)

}  // namespace wholemount
