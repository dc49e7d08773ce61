#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// y = (accumulate ? y : 0) + sum of weight[k] * transform(x[k]); `count` floats, period 16 lanes.
struct CombineRows {
  const float* x[4];
  float weight[4];
  int64_t num_rows;
  const float* scale;  ///< 16 lanes, as are the shifts
  const float* shift;
  float slope;
  bool identity;
  bool accumulate;
  float* y;
  int64_t count;
};

/// y[o] = (1 - weight) x[first] + weight x[second] along w, `weight` by o % factor. Before the
/// middle of a voxel (weight >= 1/2 and rising) first is the voxel before.
struct ExpandRow {
  const float* x;
  float* y;
  int64_t block_width;
  int64_t width;  ///< voxels of x
  int64_t factor;
  const float* weight;  ///< `factor` interior weights of the second tap
  int64_t
      begins_before;  ///< phases below it read the voxel before and this one, else this and next
  /// Blocked tensors: write past the caches; y is 64-byte aligned. Follow with stream_fence().
  bool stream = false;
};

/// grad_x[w] = sum of weights[k] * x[begin + k], begin = w * factor + offset; the first and the
/// last voxel have weights of their own.
struct ContractRow {
  struct Weights {
    const float* values;
    int64_t count;
    int64_t offset;
  };
  const float* x;
  float* grad_x;
  int64_t block_width;
  int64_t width;  ///< voxels of grad_x
  int64_t factor;
  Weights first;
  Weights inner;
  Weights last;
};

WM_DECLARE_PER_ISA(void combine_rows(const CombineRows& rows);
                   void expand_row(const ExpandRow& row);
                   void contract_row(const ContractRow& row);)

}  // namespace wholemount
