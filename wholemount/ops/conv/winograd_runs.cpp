#include "wholemount/ops/conv/winograd_runs.h"

#include <algorithm>

#include "wholemount/base/checked.h"
#include "wholemount/ops/conv/correlation_kernel.h"

namespace wholemount {

namespace {

/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;

}  // namespace

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

Box3 winograd_outputs(const WinogradShape& shape, const Extent3& tiles, int64_t first, int64_t end,
                      const Extent3& extent) {
  const int64_t plane_tiles = tiles.h * tiles.w;
  const int64_t last = end - 1;
  Box3 box{{first / plane_tiles, 0, 0}, {last / plane_tiles + 1, tiles.h, tiles.w}};
  if (box.end.d == box.begin.d + 1) {
    box.begin.h = first % plane_tiles / tiles.w;
    box.end.h = last % plane_tiles / tiles.w + 1;
  }
  const Extent3& m = shape.outputs;
  return clip(
      {{box.begin.d * m.d, box.begin.h * m.h, 0}, {box.end.d * m.d, box.end.h * m.h, extent.w}},
      extent);
}

WinogradInputColumns input_columns_of(const WinogradBlocks& blocks, const WinogradRun& run,
                                      const CorrelationGeometry& geometry, const InputView& input,
                                      const ChannelBlock& block, int64_t n) {
  const WinogradShape& shape = blocks.shape;
  const int64_t d = run.tile.d * shape.outputs.d + geometry.d.min_offset;
  const int64_t h = run.tile.h * shape.outputs.h + geometry.h.min_offset;
  const int64_t w = run.tile.w * shape.outputs.w + geometry.w.min_offset;
  const int64_t num_columns = blocks.columns(run);
  const BlockTransform transform = block_transform(input.transform, block);
  WinogradInputColumns columns{};
  columns.source = input.view.address(n, block.block, d, h, w);
  columns.bfloat16 = input.view.is_bfloat16();
  columns.plane_pitch = input.view.plane_pitch;
  columns.voxel_row_pitch = input.view.row_pitch;
  columns.d_begin = std::max<int64_t>(-d, 0);
  columns.d_end = std::min(geometry.d.source_extent - d, shape.points.d);
  columns.h_begin = std::max<int64_t>(-h, 0);
  columns.h_end = std::min(geometry.h.source_extent - h, shape.points.h);
  columns.w_begin = std::max<int64_t>(-w, 0);
  columns.w_end = std::min(geometry.w.source_extent - w, num_columns);
  columns.num_columns = num_columns;
  columns.transformed = transform.active;
  columns.scale = transform.scale;
  columns.shift = transform.shift;
  columns.slope = transform.slope;
  return columns;
}

WinogradOutputColumns output_columns_of(const WinogradShape& shape, const WinogradRun& run,
                                        const CorrelationProblem& problem, const KernelArgs& args,
                                        const ChannelBlock& block, int64_t n) {
  const CorrelationGeometry& g = problem.geometry;
  const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
  const int64_t d = run.tile.d * shape.outputs.d;
  const int64_t h = run.tile.h * shape.outputs.h;
  const int64_t w = run.tile.w * shape.outputs.w;
  WinogradOutputColumns columns{};
  columns.num_columns = std::min(run.count * shape.outputs.w, g.w.count - w);
  columns.destination = view.at<float>(n, block.block, d, h, w);
  columns.plane_pitch = view.plane_pitch;
  columns.voxel_row_pitch = view.row_pitch;
  columns.planes = std::min(shape.outputs.d, g.d.count - d);
  columns.rows = std::min(shape.outputs.h, g.h.count - h);
  columns.stream = static_cast<int64_t>(view.desc.bytes()) >= kStreamBytes &&
                   reinterpret_cast<uintptr_t>(view.at<float>(0, 0)) % 64 == 0;
  if (problem.rectified_input >= 0) {
    const TensorView& x = args.inputs[static_cast<size_t>(problem.rectified_input)].view;
    columns.rectified = x.address(n, block.block, d, h, w);
    columns.rectified_bfloat16 = x.is_bfloat16();
    columns.rectified_plane_pitch = x.plane_pitch;
    columns.rectified_row_pitch = x.row_pitch;
    columns.rectified_slope = problem.rectified_slope;
  }
  return columns;
}

void load_bias(const CorrelationProblem& problem, const KernelArgs& args, const ChannelBlock& block,
               float* bias) {
  std::fill_n(bias, 16, 0.0F);
  if (problem.bias_input < 0) return;
  const auto* all = args.inputs[static_cast<size_t>(problem.bias_input)].view.at<float>(0, 0);
  std::copy_n(all + block.channel, block.lanes, bias);
}

}  // namespace wholemount
