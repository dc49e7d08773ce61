#pragma once

#include <cstdint>
#include <span>

#include "wholemount/ops/conv/winograd_shape.h"

namespace wholemount {

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

/// What of [start, start + count) lies in [0, extent), counted from start.
struct WinogradExisting {
  int64_t begin = 0;
  int64_t end = 0;
};
[[nodiscard]] WinogradExisting existing(int64_t start, int64_t count, int64_t extent);

}  // namespace wholemount
