#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// The matrix products of all frequencies for some source blocks and one or two destination blocks,
/// added to sums that rest in memory:
///   sums(f, t, c') = [sums(f, t, c') +] sum over c of source(f, t, c) * weights(f, c, c')
struct WinogradSums {
  int32_t num_frequencies;
  const float* source;   ///< [frequency][source block][tile][16]
  int64_t source_pitch;  ///< floats from a frequency to the next
  int64_t block_pitch;   ///< floats from a source block to the next
  int32_t num_blocks;
  const int32_t* lanes;       ///< channels of each source block
  const float* weights;       ///< [frequency][channel][destination block][16]
  int64_t weights_pitch;      ///< floats from a frequency to the next
  int32_t num_destinations;   ///< 1 or 2 (2 only where winograd_max_destinations() is 2)
  float* sums;                ///< [frequency][destination block][tile][16]
  int64_t sums_pitch;         ///< floats from a frequency to the next
  int64_t destination_pitch;  ///< floats from a destination block to the next
  bool add;                   ///< false: overwrite
  /// Tiles up to the next multiple of winograd_tile_step() are read and written too (any content).
  int64_t num_tiles;
  /// What the next products are made from, a step for each register tile.
  LinesAhead* ahead;
};
WM_DECLARE_PER_ISA(void winograd_add_products(const WinogradSums& product);)
/// Register tiles for each frequency: steps of WinogradSums::ahead.
WM_DECLARE_PER_ISA(int64_t winograd_sums_steps(int64_t num_tiles, int32_t num_destinations);)

}  // namespace wholemount
