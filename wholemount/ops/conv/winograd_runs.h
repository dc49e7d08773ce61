#pragma once

#include <cstdint>
#include <span>

#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"
#include "wholemount/ops/conv/winograd_shape.h"

namespace wholemount {

struct CorrelationProblem;

/// Neighbouring tiles of one row of tiles, within one chunk of a block of tiles: their source
/// columns are stored one behind another, overlaps once.
struct WinogradRun {
  Extent3 tile;          ///< the first one, counted over the tensor
  int64_t position = 0;  ///< of the first one in the block
  int64_t count = 0;
  int64_t column = 0;  ///< of the first source column, counted over the block
};

/// Blocks of tiles, cut into chunks and these into runs.
struct WinogradBlocks {
  WinogradShape shape;
  int64_t row_tiles = 1;    ///< tiles of a row
  int64_t block_tiles = 1;  ///< at most
  int64_t chunk_tiles = 1;

  /// Source columns of a run.
  [[nodiscard]] int64_t columns(const WinogradRun& run) const {
    return run.count * shape.outputs.w + shape.points.w - shape.outputs.w;
  }
  [[nodiscard]] int64_t max_runs() const;
  /// Source columns of a block.
  [[nodiscard]] int64_t max_columns() const;
  /// The runs of tiles [first, last) of a box of `tiles` tiles that begins at tile `origin`;
  /// written to `runs`, which holds max_runs().
  std::span<const WinogradRun> cut(const Extent3& origin, const Extent3& tiles, int64_t first,
                                   int64_t last, WinogradRun* runs) const;
};

/// The floats of that many vectors of sixteen, made an odd number of cache lines: distances that
/// are multiples of a power of two would map to few cache sets.
[[nodiscard]] int64_t odd_pitch(int64_t vectors);

/// The outputs of tiles [first, last) of a tensor of `tiles` tiles and `extent` voxels, as a box
/// around them.
[[nodiscard]] Box3 winograd_outputs(const WinogradShape& shape, const Extent3& tiles, int64_t first,
                                    int64_t last, const Extent3& extent);

/// The input columns of a run in channel block `block` of sample `n`; their destination is left to
/// the caller.
[[nodiscard]] WinogradInputColumns input_columns_of(const WinogradBlocks& blocks,
                                                    const WinogradRun& run,
                                                    const CorrelationGeometry& geometry,
                                                    const InputView& input,
                                                    const ChannelBlock& block, int64_t n);

/// The output columns that exist of a run in channel block `block` of sample `n`, which is wanted:
/// where they are stored and what rectifies them. Their source, bias and moments are left to the
/// caller.
[[nodiscard]] WinogradOutputColumns output_columns_of(const WinogradShape& shape,
                                                      const WinogradRun& run,
                                                      const CorrelationProblem& problem,
                                                      const KernelArgs& args,
                                                      const ChannelBlock& block, int64_t n);

/// The bias of the sixteen lanes of `block`: zero where there is none.
void load_bias(const CorrelationProblem& problem, const KernelArgs& args, const ChannelBlock& block,
               float* bias);

}  // namespace wholemount
