#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// One channel block of a blocked tensor, read through a LoadTransform.
struct HeadBlock {
  const void* values;  ///< first voxel, sixteen lanes a voxel
  const float* scale;  ///< sixteen
  const float* shift;
  float slope;
  bool identity;  ///< read as it is
  bool bfloat16;  ///< what the values are; else float32
};

inline constexpr int32_t kHeadChannels = 4;

/// Logits of a row of voxels: out[c][v] = bias[c] + sum over blocks b, lanes l of
/// weights[b][c][l] * blocks[b](v)[l].
struct HeadRow {
  const HeadBlock* blocks;
  int32_t num_blocks;
  const float* weights;  ///< [block][channel][16], zero beyond the block's channels
  int32_t channels;      ///< 1 .. kHeadChannels
  float bias[kHeadChannels];
  float* out[kHeadChannels];
  int64_t count;  ///< voxels
};
WM_DECLARE_PER_ISA(void head_row(const HeadRow& row);)

/// The adjoint: out(v)[l] = bias[l] + sum over c of weights[c][l] * values[c][v], one block.
struct SpreadRow {
  const float* values[kHeadChannels];
  int32_t channels;
  const float* weights;  ///< [channel][16]
  const float* bias;     ///< sixteen
  float* out;
  int64_t count;  ///< voxels
  bool stream;    ///< write past the caches; out is 64-byte aligned. Follow with stream_fence().
};
WM_DECLARE_PER_ISA(void spread_row(const SpreadRow& row);)

/// sums[c][l] += sum over v of factors[c][v] * block(v)[l]; a row is summed in registers first.
struct HeadSums {
  HeadBlock block;
  const float* factors[kHeadChannels];
  int32_t channels;
  float* sums;    ///< [channel][16]
  int64_t count;  ///< voxels
};
WM_DECLARE_PER_ISA(void head_sums(const HeadSums& row);)

}  // namespace wholemount
