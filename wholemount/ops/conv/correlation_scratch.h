#pragma once

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/inner/correlation_plane.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

/// Where a task's things lie in thread scratch; also used to size it.
struct CorrelationKernel::Scratch {
  Scratch(const CorrelationKernel& kernel, std::byte* base) : cursor(base) {
    ring = cursor.take<float*>(static_cast<int64_t>(kernel.source_blocks_.size()));
    for (size_t i = 0; i < kernel.source_blocks_.size(); ++i) {
      float* block = cursor.take<float>(kernel.ring_.block_floats(kernel.source_blocks_[i]));
      if (base != nullptr) ring[i] = block;
    }
    tap_offsets = cursor.take<int64_t>(kernel.num_taps_);
    chunks = cursor.take<CorrelationChunk>(static_cast<int64_t>(kernel.source_blocks_.size()));
    bias = cursor.take<float>(kBiasFloats);
    sums = cursor.take<float>(kernel.accumulator_floats_);
    ahead = cursor.take<LineRange>(kernel.ring_.max_ranges_ahead(kernel.source_blocks_.size()));
    columns = cursor.take<float>(volume(kernel.problem_.geometry.kernel) * 16);
    lines = cursor.take<const float*>(kernel.lines_.size());
    zeros = cursor.take<float>(kernel.lines_.zero_floats());
  }
  ScratchCursor cursor;
  float** ring;
  int64_t* tap_offsets;
  CorrelationChunk* chunks;
  float* bias;
  float* sums;
  LineRange* ahead;
  float* columns;       ///< the kernel of sixteen channels, when weights are packed
  const float** lines;  ///< SourceLines
  float* zeros;         ///< a row of zeros, for sources read in place
};

}  // namespace wholemount
