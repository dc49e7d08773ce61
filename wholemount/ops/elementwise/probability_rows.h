#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// The channels of a row of voxels: channel c of voxel i lies at
/// base[(c / block_width) * block_pitch + i * block_width + c % block_width].
struct ChannelRows {
  int64_t channels;
  int64_t block_width;
  int64_t count;  ///< voxels
};

struct ProbabilityRow {
  ChannelRows rows;
  const float* x;
  int64_t x_block_pitch;
  float* y;  ///< may be x
  int64_t y_block_pitch;
};

struct ProbabilityBackwardRow {
  ChannelRows rows;
  const float* y;
  int64_t y_block_pitch;
  const float* grad_y;
  int64_t grad_y_block_pitch;
  float* grad_x;  ///< may be grad_y
  int64_t grad_x_block_pitch;
};

struct LabelRow {
  ChannelRows rows;
  const float* x;
  int64_t x_block_pitch;
  uint8_t* labels;
};

WM_DECLARE_PER_ISA(void sigmoid_row(const ProbabilityRow& row);
                   void softmax_row(const ProbabilityRow& row);
                   void sigmoid_backward_row(const ProbabilityBackwardRow& row);
                   void softmax_backward_row(const ProbabilityBackwardRow& row);
                   void argmax_row(const LabelRow& row); void sign_bits_row(const LabelRow& row);)

}  // namespace wholemount
