#include "wholemount/ops/conv/winograd_runs.h"

#include <algorithm>

#include "wholemount/base/checked.h"

namespace wholemount {

int64_t WinogradBlocks::max_runs() const {
  // Ends of rows and of chunks within the block, and the block's end.
  const int64_t rows = divide_up(block_tiles - 1, row_tiles);
  const int64_t chunks = divide_up(block_tiles, chunk_tiles);
  return std::min(rows + chunks, block_tiles);
}

int64_t WinogradBlocks::max_columns() const {
  return checked_add(checked_multiply(block_tiles, shape.outputs.w),
                     checked_multiply(max_runs(), shape.points.w - shape.outputs.w));
}

std::span<const WinogradRun> WinogradBlocks::cut(const Extent3& origin, const Extent3& tiles,
                                                 int64_t first, int64_t last,
                                                 WinogradRun* runs) const {
  size_t count = 0;
  int64_t column = 0;
  for (int64_t tile = first; tile < last;) {
    WinogradRun& run = runs[count++];
    const int64_t w = tile % tiles.w;
    run.tile = {origin.d + tile / (tiles.h * tiles.w), origin.h + tile / tiles.w % tiles.h,
                origin.w + w};
    run.position = tile - first;
    run.count = std::min({tiles.w - w, last - tile, chunk_tiles - run.position % chunk_tiles});
    run.column = column;
    column += columns(run);
    tile += run.count;
  }
  return {runs, count};
}

int64_t odd_pitch(int64_t vectors) { return checked_multiply(vectors | 1, 16); }

WinogradExisting existing(int64_t start, int64_t count, int64_t extent) {
  return {std::max<int64_t>(-start, 0), std::min(extent - start, count)};
}

}  // namespace wholemount
