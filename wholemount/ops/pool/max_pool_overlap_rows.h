#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

/// Gradient of blocked max pooling by windows three wide and two apart, which share voxels. Maxima
/// are found along w and h of one plane first (three neighbours share no work, but rows read once
/// serve a whole row of windows), then along d; so that a voxel is transformed once for the windows
/// of a row, and a plane's maxima serve all windows it lies in.
namespace wholemount {

/// Of one input plane, the maxima of one row of windows (fixed oh). Pitches in floats.
struct PlaneMaximaRow {
  const void* x;  ///< first voxel of the first input row of the windows, at w = 0
  bool bfloat16;  ///< what x holds; else float32
  int64_t row_pitch;
  int64_t taps_h;  ///< input rows inside the windows, 1 to 3
  int64_t width;   ///< voxels of an input row
  int64_t padding_w;
  int64_t num_outputs;
  const float* scale;  ///< 16 lanes, as are the shifts
  const float* shift;
  float slope;
  int64_t first_tap;  ///< position in the window's plane (kh * 3 + kw) of the first row's tap 0
  float* value;
  float* tap;  ///< positions as floats
};

/// Takes the maxima of one plane into those of whole windows.
struct JoinedMaximaRow {
  const float* value;
  const float* tap;
  float first_position;  ///< added to the taps
  int64_t num_outputs;
  bool is_first;  ///< no plane was joined before
  float* best_value;
  float* best_tap;
};

struct MaxPoolBackwardRow;

/// The rows of windows a PlaneMaximaRow can take.
constexpr int64_t kMaxPlaneTapsH = 3;

WM_DECLARE_PER_ISA(void plane_maxima_row(const PlaneMaximaRow& row);
                   void join_maxima_row(const JoinedMaximaRow& row);
                   /// Of `count` maxima, a multiple of 16: tap = kNoTap where value is not > 0.
                   void keep_positive_taps(const float* value, float* tap, int64_t count);
                   /// max_pool_backward_row for blocked tensors, kernel_w = 3, stride_w = 2.
                   void overlap_backward_row(const MaxPoolBackwardRow& row);)

}  // namespace wholemount
