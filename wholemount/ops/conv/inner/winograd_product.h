#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// The matrix products of some frequencies, for one or two destination blocks:
///   result(f, t, c') = sum over c of source(f, t, c) * weights(f, c, c')
struct WinogradProduct {
  int32_t num_frequencies;
  const float* source;   ///< [frequency][source block][tile][16]
  int64_t source_pitch;  ///< floats from a frequency to the next
  int64_t block_pitch;   ///< floats from a source block to the next
  int32_t num_blocks;
  const int32_t* lanes;            ///< channels of each source block
  const float* weights;            ///< [frequency][channel][destination block][16]
  int64_t weights_pitch;           ///< floats from a frequency to the next
  int32_t num_destinations;        ///< 1 or 2 (2 only where winograd_max_destinations() is 2)
  float* result;                   ///< [frequency][destination block][tile][16]
  int64_t result_frequency_pitch;  ///< floats from a frequency to the next
  int64_t result_pitch;            ///< floats from a destination block to the next
  /// Tiles up to the next multiple of winograd_tile_step() are read and written too (any content),
  /// so that scratch must extend as far.
  int64_t num_tiles;
};
WM_DECLARE_PER_ISA(void winograd_product(const WinogradProduct& product);)
/// Destination blocks the register tile of this instruction set takes at once.
WM_DECLARE_PER_ISA(int32_t winograd_max_destinations();)
/// Tiles that fill the register tile (twice as many when there is one destination block).
WM_DECLARE_PER_ISA(int64_t winograd_tile_step();)

/// The products of the weight gradient for one frequency, one fine block and one or two coarse
/// ones:
///   sums[block](lane, c') = [sums +] sum over t of fine(t, lane) * coarse[block](t, c')
/// Summed in registers from zero, then added to memory.
struct WinogradGradientProduct {
  const float* fine;  ///< [tile][16]
  int32_t lanes;      ///< fine channels in use
  const float* coarse[2];
  int32_t num_coarse;  ///< 1 or 2 (2 only where winograd_max_destinations() is 2)
  int64_t num_tiles;
  float* sums[2];  ///< [lane][16]; lanes >= `lanes`: any value
  bool add;        ///< false: overwrite
};
WM_DECLARE_PER_ISA(void winograd_gradient_product(const WinogradGradientProduct& product);)

}  // namespace wholemount
