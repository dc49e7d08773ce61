#include "wholemount/ops/conv/winograd_weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/columns.h"
#include "wholemount/ops/conv/inner/winograd_product.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

constexpr int64_t kWantedTasks = 64;
/// A part transforms its sums back once, which a few tiles would not pay; but where panels are few,
/// threads must share the tiles.
constexpr int64_t kMinPartTiles = 256;
constexpr int64_t kMinPartTilesOfFewPanels = 96;
constexpr int64_t kFewPanels = 8;
constexpr int64_t kMinBlockTiles = 14;
constexpr int64_t kMaxBlockTiles = 112;

int64_t even_panel(int64_t blocks, int64_t most) {
  return divide_up(blocks, divide_up(blocks, std::max<int64_t>(most, 1)));
}

}  // namespace

std::string WinogradWeightGradientKernel::refusal(const WeightGradientProblem& problem) {
  const auto blocked = [](const TensorDesc& desc) {
    return desc.dtype == DType::f32 && desc.layout == Layout::blocked16;
  };
  if (problem.weights.dtype != DType::f32 || !blocked(problem.coarse) ||
      !std::all_of(problem.fine.begin(), problem.fine.end(), blocked)) {
    return "takes float32 tensors of more than 4 channels";
  }
  return winograd_geometry_refusal(problem.conv);
}

WinogradWork WinogradWeightGradientKernel::work(const WeightGradientProblem& problem) {
  return {problem.coarse.n,  problem.coarse.extent, problem.conv.kernel,
          problem.weights.c, problem.weights.n,     true};
}

struct WinogradWeightGradientKernel::Scratch {
  Scratch(const WinogradWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t points = kernel.shape_.points.w;
    const int64_t frequencies = kernel.shape_.frequencies();
    const int64_t rows = frequencies / points;
    runs = cursor.take<WinogradRun>(kernel.blocks_.max_runs());
    taps = cursor.take<float>(kernel.num_taps_ * 16);
    fine = cursor.take<float>(checked_multiply(points, kernel.fine_pitch_));
    coarse = cursor.take<float>(checked_multiply(points, kernel.coarse_pitch_));
    sums = cursor.take<float>(checked_multiply(frequencies, kernel.sums_pitch_));
    fine_columns = cursor.take<float>(checked_multiply(rows, kernel.fine_columns_pitch_));
    coarse_columns = cursor.take<float>(checked_multiply(rows, kernel.coarse_columns_pitch_));
  }
  ScratchCursor cursor;
  WinogradRun* runs;
  float* taps;            ///< of sixteen coarse channels and a fine one
  float* fine;            ///< [frequency along w][fine block][tile][16]
  float* coarse;          ///< [frequency along w][coarse block][tile][16]
  float* sums;            ///< [frequency][fine block][coarse block][16 fine lanes][16]
  float* fine_columns;    ///< [frequency pair][fine block][column][16]
  float* coarse_columns;  ///< [frequency pair][coarse block][column][16]
};

WinogradWeightGradientKernel::WinogradWeightGradientKernel(WeightGradientProblem problem,
                                                           WinogradTile tile, Isa isa,
                                                           std::string reason)
    : WeightGradientKernel(std::move(problem), isa, std::move(reason)),
      shape_(winograd_shape(tile)) {
  const Extent3& extent = problem_.coarse.extent;
  tiles_ = {divide_up(extent.d, shape_.outputs.d), divide_up(extent.h, shape_.outputs.h),
            divide_up(extent.w, shape_.outputs.w)};
  writes_whole_sums();
  choose_panels();
  const int64_t line = 16 * int64_t{sizeof(float)};
  const int64_t panel_blocks = fine_per_panel_ + coarse_per_panel_;
  const int64_t tile_bytes =
      shape_.frequencies() / shape_.points.w * shape_.outputs.w * line * panel_blocks;
  const int64_t axis_bytes = shape_.points.w * line * panel_blocks;
  int64_t block = std::clamp(std::min(kBlockBytes / tile_bytes, kAxisBytes / axis_bytes),
                             kMinBlockTiles, kMaxBlockTiles);
  // The tiles of a part, and even blocks of them.
  const int64_t part_tiles = divide_up(planes_per_part_, shape_.outputs.d) *
                             divide_up(rows_per_part_, shape_.outputs.h) * tiles_.w;
  block = divide_up(part_tiles, divide_up(part_tiles, block));
  blocks_ = {shape_, tiles_.w, block, block};
  block_columns_ = blocks_.max_columns();
  fine_columns_pitch_ = odd_pitch(fine_per_panel_ * block_columns_);
  coarse_columns_pitch_ = odd_pitch(coarse_per_panel_ * block * shape_.outputs.w);
  fine_pitch_ = odd_pitch(fine_per_panel_ * block);
  coarse_pitch_ = odd_pitch(coarse_per_panel_ * block);
  sums_pitch_ = odd_pitch(fine_per_panel_ * coarse_per_panel_ * 16);
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

void WinogradWeightGradientKernel::choose_panels() {
  // As square as the sums allow, since each panel transforms its operands anew.
  const int64_t pair_bytes = shape_.frequencies() * 256 * int64_t{sizeof(float)};
  const int64_t pairs = std::max<int64_t>(kSumBytes / pair_bytes, 1);
  const auto coarse = static_cast<int64_t>(coarse_blocks_.size());
  const auto fine = static_cast<int64_t>(fine_blocks_.size());
  int64_t side = 1;
  while ((side + 1) * (side + 1) <= pairs) ++side;
  int64_t coarse_panel = std::min(coarse, side);
  const int64_t fine_panel = std::min(fine, std::max<int64_t>(pairs / coarse_panel, 1));
  coarse_panel = std::min(coarse, std::max<int64_t>(pairs / fine_panel, 1));
  const Extent3& m = shape_.outputs;
  const int64_t plane_tiles = tiles_.h * tiles_.w;
  const int64_t coarse_blocks = even_panel(coarse, coarse_panel);
  const int64_t fine_blocks = even_panel(fine, fine_panel);
  const int64_t panels = divide_up(coarse, coarse_blocks) * divide_up(fine, fine_blocks);
  const int64_t least = panels < kFewPanels ? kMinPartTilesOfFewPanels : kMinPartTiles;
  const int64_t least_planes = m.d * divide_up(least, plane_tiles);
  const int64_t least_rows = m.h * divide_up(least, tiles_.w);
  cut(coarse_blocks, fine_blocks, kWantedTasks, m, {least_planes, least_rows, 1});
}

std::string WinogradWeightGradientKernel::name() const {
  return problem_.pass + "_winograd_" + winograd_name(shape_.tile) + "_" +
         std::string(isa_name(isa_));
}

void WinogradWeightGradientKernel::transform_fine(const Task& task, int64_t n,
                                                  std::span<const WinogradRun> runs,
                                                  const Scratch& scratch,
                                                  const KernelArgs& args) const {
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_input_columns);
  for (const WinogradRun& run : runs) {
    for (size_t index = task.first_fine; index < task.last_fine; ++index) {
      const ChannelBlock& block = fine_blocks_[index];
      const InputView& input = args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)];
      WinogradInputColumns columns =
          input_columns_of(blocks_, run, problem_.geometry, input, block, n);
      columns.destination =
          scratch.fine_columns +
          (static_cast<int64_t>(index - task.first_fine) * block_columns_ + run.column) * 16;
      columns.row_pitch = fine_columns_pitch_;
      transform_columns(shape_.tile, columns);
    }
  }
}

void WinogradWeightGradientKernel::transform_coarse(const Task& task, int64_t n,
                                                    std::span<const WinogradRun> runs,
                                                    const Scratch& scratch,
                                                    const KernelArgs& args) const {
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_coarse_columns);
  const InputView& input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  const Extent3& extent = problem_.coarse.extent;
  for (const WinogradRun& run : runs) {
    const int64_t d = run.tile.d * shape_.outputs.d;
    const int64_t h = run.tile.h * shape_.outputs.h;
    const int64_t w = run.tile.w * shape_.outputs.w;
    WinogradCoarseColumns columns{};
    columns.plane_pitch = input.view.plane_pitch;
    columns.voxel_row_pitch = input.view.row_pitch;
    columns.planes = std::min(shape_.outputs.d, extent.d - d);
    columns.rows = std::min(shape_.outputs.h, extent.h - h);
    columns.num_columns = run.count * shape_.outputs.w;
    columns.existing = std::min(columns.num_columns, extent.w - w);
    columns.row_pitch = coarse_columns_pitch_;
    for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
      const ChannelBlock& block = coarse_blocks_[index];
      const BlockTransform transform = block_transform(input.transform, block);
      columns.source = input.view.at<float>(n, block.block, d, h, w);
      columns.transformed = transform.active;
      columns.scale = transform.scale;
      columns.shift = transform.shift;
      columns.slope = transform.slope;
      columns.sums = coarse_bias_sums(task, index, args);
      columns.destination =
          scratch.coarse_columns +
          (static_cast<int64_t>(index - task.first_coarse) * blocks_.block_tiles + run.position) *
              shape_.outputs.w * 16;
      transform_columns(shape_.tile, columns);
    }
  }
}

void WinogradWeightGradientKernel::multiply(const Task& task, std::span<const WinogradRun> runs,
                                            int64_t row, bool add, const Scratch& scratch) const {
  const auto transform_fine_axis = WM_PICK_ISA(isa_, winograd_input_axis);
  const auto transform_coarse_axis = WM_PICK_ISA(isa_, winograd_coarse_axis);
  const auto multiply_tiles = WM_PICK_ISA(isa_, winograd_gradient_product);
  const auto pair = static_cast<int64_t>(WM_PICK_ISA(isa_, winograd_max_destinations)());
  const auto num_fine = static_cast<int64_t>(task.last_fine - task.first_fine);
  const auto num_coarse = static_cast<int64_t>(task.last_coarse - task.first_coarse);
  const int64_t block_tiles = blocks_.block_tiles;
  const int64_t num_tiles = runs.back().position + runs.back().count;
  for (int64_t fine = 0; fine < num_fine; ++fine) {
    const float* columns = scratch.fine_columns + row * fine_columns_pitch_;
    for (const WinogradRun& run : runs) {
      transform_fine_axis(shape_.tile, {columns + (fine * block_columns_ + run.column) * 16,
                                        scratch.fine + (fine * block_tiles + run.position) * 16,
                                        fine_pitch_, run.count});
    }
  }
  for (int64_t coarse = 0; coarse < num_coarse; ++coarse) {
    const float* columns = scratch.coarse_columns + row * coarse_columns_pitch_;
    transform_coarse_axis(shape_.tile,
                          {columns + coarse * block_tiles * shape_.outputs.w * 16,
                           scratch.coarse + coarse * block_tiles * 16, coarse_pitch_, num_tiles});
  }
  WinogradGradientProduct product{};
  product.num_tiles = num_tiles;
  product.add = add;
  for (int64_t k = 0; k < shape_.points.w; ++k) {
    float* sums = scratch.sums + (row * shape_.points.w + k) * sums_pitch_;
    for (int64_t fine = 0; fine < num_fine; ++fine) {
      product.fine = scratch.fine + k * fine_pitch_ + fine * block_tiles * 16;
      product.lanes = fine_blocks_[task.first_fine + static_cast<size_t>(fine)].lanes;
      for (int64_t coarse = 0; coarse < num_coarse; coarse += pair) {
        product.num_coarse = static_cast<int32_t>(std::min(pair, num_coarse - coarse));
        for (int32_t i = 0; i < product.num_coarse; ++i) {
          product.coarse[i] = scratch.coarse + k * coarse_pitch_ + (coarse + i) * block_tiles * 16;
          product.sums[i] = sums + (fine * coarse_per_panel_ + coarse + i) * 256;
        }
        multiply_tiles(product);
      }
    }
  }
}

void WinogradWeightGradientKernel::transform_sums(const Task& task, const Scratch& scratch,
                                                  const KernelArgs& args) const {
  const auto transform = WM_PICK_ISA(isa_, winograd_filter_adjoint);
  const auto scatter = WM_PICK_ISA(isa_, scatter_columns);
  const OutputView& output = args.outputs[0];
  if (is_whole() && output.view.origin == nullptr) return;
  const int64_t taps_of_row = problem_.weights.c * num_taps_;
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    const ChannelBlock& block = fine_blocks_[fine];
    const int64_t pitch = block.scratch_pitch();
    for (size_t coarse = task.first_coarse; coarse < task.last_coarse; ++coarse) {
      const float* sums =
          scratch.sums + (static_cast<int64_t>(fine - task.first_fine) * coarse_per_panel_ +
                          static_cast<int64_t>(coarse - task.first_coarse)) *
                             256;
      if (!is_whole()) {
        float* taps = partial(args, task.part, coarse, fine);
        for (int64_t lane = 0; lane < block.lanes; ++lane) {
          transform(shape_.tile, sums + lane * 16, sums_pitch_, taps + lane * 16, pitch * 16);
        }
        continue;
      }
      const ChannelBlock& rows = coarse_blocks_[coarse];
      float* out =
          output.view.at<float>(0, 0) + rows.channel * taps_of_row + block.channel * num_taps_;
      // A row of the next pair of blocks is asked for with each lane of this one.
      const bool last = coarse + 1 == task.last_coarse;
      const int64_t ahead = last ? 0 : 16 * taps_of_row;
      const int64_t next_rows = last ? 0 : coarse_blocks_[coarse + 1].lanes;
      for (int64_t lane = 0; lane < block.lanes; ++lane) {
        for (int64_t line = 0; lane < next_rows && line < block.lanes * num_taps_; line += 16) {
          __builtin_prefetch(out + ahead + lane * taps_of_row + line, 1, 2);
        }
        transform(shape_.tile, sums + lane * 16, sums_pitch_, scratch.taps, 16);
        scatter({scratch.taps, 16, num_taps_, out + lane * num_taps_, taps_of_row, rows.lanes,
                 output.accumulate});
      }
    }
  }
}

void WinogradWeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  clear_bias(task, args);
  const Scratch scratch(*this, args.thread_scratch);
  const Extent3& m = shape_.outputs;
  const Extent3 first_tile{task.box.begin.d / m.d, task.box.begin.h / m.h, 0};
  const Extent3 tiles{divide_up(task.box.end.d - task.box.begin.d, m.d),
                      divide_up(task.box.end.h - task.box.begin.h, m.h), tiles_.w};
  const int64_t num_tiles = volume(tiles);
  bool add = false;
  for (int64_t n = 0; n < problem_.coarse.n; ++n) {
    for (int64_t first = 0; first < num_tiles; first += blocks_.block_tiles) {
      const int64_t last = std::min(first + blocks_.block_tiles, num_tiles);
      const auto runs = blocks_.cut(first_tile, tiles, first, last, scratch.runs);
      transform_fine(task, n, runs, scratch, args);
      transform_coarse(task, n, runs, scratch, args);
      for (int64_t row = 0; row < shape_.points.d * shape_.points.h; ++row) {
        multiply(task, runs, row, add, scratch);
      }
      add = true;
    }
    // The bias of the coarse operand is summed while that is transformed.
    for (int64_t d = task.box.begin.d; problem_.bias_of_fine && d < task.box.end.d; ++d) {
      sum_bias(task, n, task.box, d, args);
    }
  }
  transform_sums(task, scratch, args);
}

}  // namespace wholemount
