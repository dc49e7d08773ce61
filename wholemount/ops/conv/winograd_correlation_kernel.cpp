#include "wholemount/ops/conv/winograd_correlation_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/winograd_product.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"
#include "wholemount/ops/conv/scratch_cursor.h"
#include "wholemount/ops/conv/winograd_weights.h"

namespace wholemount {

namespace {

/// Enough tasks for many threads to end at about the same time.
constexpr int64_t kWantedTasks = 64;
/// Every part of the destination channels transforms the source anew, so parts are made only when
/// there are fewer runs of tiles than this.
constexpr int64_t kWantedWithParts = 16;
/// Transformed weights beyond this do not stay in a core's L2 cache beside a block of tiles.
constexpr int64_t kCachedWeightBytes = int64_t{1} << 20;
/// Such weights come from afar for every block of tiles, which must give them enough to do.
constexpr int64_t kMinDeepTiles = 28;
constexpr int64_t kFarWeightBytes = int64_t{16} << 20;
constexpr int64_t kMinFarTiles = 56;
constexpr int64_t kMaxBlockTiles = 112;
constexpr int64_t kMaxChunkTiles = 28;

}  // namespace

std::string WinogradCorrelationKernel::refusal(const CorrelationProblem& problem) {
  const auto blocked = [](const TensorDesc& desc) {
    return desc.n == 0 || (desc.dtype == DType::f32 && desc.layout == Layout::blocked16);
  };
  if (problem.weights.dtype != DType::f32 ||
      !std::all_of(problem.sources.begin(), problem.sources.end(), blocked) ||
      !std::all_of(problem.destinations.begin(), problem.destinations.end(), blocked)) {
    return "takes float32 tensors of more than 4 channels";
  }
  return winograd_geometry_refusal(problem.conv);
}

WinogradWork WinogradCorrelationKernel::work(const CorrelationProblem& problem) {
  const CorrelationGeometry& g = problem.geometry;
  return {problem.sources.front().n, {g.d.count, g.h.count, g.w.count}, problem.conv.kernel,
          problem.source_channels(), problem.destination_channels(),    false};
}

struct WinogradCorrelationKernel::Scratch {
  Scratch(const WinogradCorrelationKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t points = kernel.shape_.points.w;
    const int64_t rows = kernel.shape_.frequencies() / points;
    bias = cursor.take<float>(16);
    taps = cursor.take<float>(27 * 16);
    runs = cursor.take<WinogradRun>(kernel.blocks_.max_runs());
    source = cursor.take<float>(checked_multiply(points, kernel.source_pitch_));
    products = cursor.take<float>(checked_multiply(points, kernel.products_pitch_));
    columns = cursor.take<float>(checked_multiply(rows, kernel.columns_pitch_));
    result = cursor.take<float>(checked_multiply(rows, kernel.result_pitch_));
  }
  ScratchCursor cursor;
  float* bias;
  float* taps;
  WinogradRun* runs;
  float* source;    ///< [frequency along w][source block][tile of a chunk][16]
  float* products;  ///< [frequency along w][block of a group][tile of a chunk][16]
  float* columns;   ///< [frequency pair][source block][column][16]
  float* result;    ///< [frequency pair][destination block][column][16]
};

WinogradCorrelationKernel::WinogradCorrelationKernel(CorrelationProblem problem, WinogradTile tile,
                                                     Isa isa, std::string reason)
    : problem_(std::move(problem)),
      shape_(winograd_shape(tile)),
      isa_(isa),
      reason_(std::move(reason)),
      source_blocks_(channel_blocks(problem_.sources)),
      destination_blocks_(channel_blocks(problem_.destinations)) {
  for (const ChannelBlock& block : source_blocks_) source_lanes_.push_back(block.lanes);
  const CorrelationGeometry& g = problem_.geometry;
  tiles_ = {divide_up(g.d.count, shape_.outputs.d), divide_up(g.h.count, shape_.outputs.h),
            divide_up(g.w.count, shape_.outputs.w)};
  build_groups();
  choose_tasks();
  if (problem_.moments_output >= 0) {
    moments_ = {problem_.moments_output, num_units_ * runs_per_unit_,
                problem_.destination_channels(), shared_bytes_};
  }
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

void WinogradCorrelationKernel::build_groups() {
  const auto most = static_cast<size_t>(WM_PICK_ISA(isa_, winograd_max_destinations)());
  int64_t offset = 0;
  for (size_t block = 0; block < destination_blocks_.size(); block += most) {
    const size_t count = std::min(most, destination_blocks_.size() - block);
    groups_.push_back({block, static_cast<int32_t>(count), offset});
    offset = checked_add(
        offset, checked_multiply(problem_.source_channels(), static_cast<int64_t>(count) * 16));
  }
  weights_pitch_ = odd_pitch(offset / 16);
  shared_bytes_ = static_cast<size_t>(checked_multiply(
      checked_multiply(weights_pitch_, shape_.frequencies()), int64_t{sizeof(float)}));
}

void WinogradCorrelationKernel::choose_tasks() {
  const int64_t n = problem_.sources.front().n;
  const int64_t sample_tiles = volume(tiles_);
  const int64_t plane_tiles = tiles_.h * tiles_.w;
  const int64_t step = WM_PICK_ISA(isa_, winograd_tile_step)();
  const auto num_groups = std::max<int64_t>(static_cast<int64_t>(groups_.size()), 1);
  const bool deep = static_cast<int64_t>(shared_bytes_) > kCachedWeightBytes;
  const bool far = static_cast<int64_t>(shared_bytes_) > kFarWeightBytes;
  const int64_t least = deep ? round_up(far ? kMinFarTiles : kMinDeepTiles, step) : step;

  // Blocks of tiles, first as if one task took all destination blocks.
  const int64_t line = 16 * int64_t{sizeof(float)};
  const auto num_sources = static_cast<int64_t>(source_blocks_.size());
  const int64_t group_blocks = groups_.empty() ? 1 : int64_t{groups_.front().num_blocks};
  const auto block_tiles = [&](int64_t groups) {
    const int64_t tile_bytes = shape_.frequencies() / shape_.points.w * shape_.outputs.w * line *
                               (num_sources + groups * group_blocks);
    return std::clamp((deep ? kDeepBlockBytes : kBlockBytes) / tile_bytes / step * step, least,
                      std::max(least, kMaxBlockTiles / step * step));
  };
  const int64_t rough = block_tiles(num_groups);
  const int64_t runs = n * divide_up(sample_tiles, rough);
  group_parts_ = std::clamp<int64_t>(divide_up(kWantedWithParts, runs), 1, num_groups);
  groups_per_part_ = divide_up(num_groups, group_parts_);
  group_parts_ = divide_up(num_groups, groups_per_part_);
  const int64_t block = std::min(block_tiles(groups_per_part_), round_up(sample_tiles, step));
  // Weights that come from afar should do so once for a block.
  const int64_t chunk_bytes = shape_.points.w * line * (num_sources + group_blocks);
  const int64_t chunk =
      deep ? round_up(block, step)
           : std::clamp(std::min(kChunkBytes / chunk_bytes, kMaxChunkTiles) / step * step, step,
                        round_up(block, step));
  blocks_ = {shape_, tiles_.w, block, chunk};

  // Tasks: whole planes of tiles or even pieces of one, for narrow slabs; small planes in one go.
  const int64_t wanted = std::max(divide_up(kWantedTasks, n * group_parts_), tiles_.d);
  if (plane_tiles >= 8 * blocks_.block_tiles) {
    unit_tiles_ = plane_tiles;
    const int64_t pieces = std::clamp<int64_t>(divide_up(wanted, tiles_.d), 1,
                                               plane_tiles / (4 * blocks_.block_tiles));
    run_tiles_ = round_up(divide_up(plane_tiles, pieces), blocks_.block_tiles);
  } else {
    unit_tiles_ = sample_tiles;
    run_tiles_ = round_up(divide_up(sample_tiles, wanted), blocks_.block_tiles);
  }
  num_units_ = divide_up(sample_tiles, unit_tiles_);
  runs_per_unit_ = divide_up(unit_tiles_, run_tiles_);

  block_columns_ = blocks_.max_columns();
  columns_pitch_ = odd_pitch(checked_multiply(num_sources, block_columns_));
  result_pitch_ =
      odd_pitch(checked_multiply(groups_per_part_ * group_blocks, block * shape_.outputs.w));
  source_pitch_ = odd_pitch(checked_multiply(num_sources, chunk));
  products_pitch_ = odd_pitch(group_blocks * chunk);
}

std::string WinogradCorrelationKernel::name() const {
  return problem_.pass + "_winograd_" + winograd_name(shape_.tile) + "_" +
         std::string(isa_name(isa_));
}

int64_t WinogradCorrelationKernel::num_tasks(int phase) const {
  if (phase == 0) return static_cast<int64_t>(groups_.size() * source_blocks_.size());
  if (phase == 2) return moments_.num_tasks();
  if (groups_.empty()) return 0;
  return problem_.sources.front().n * group_parts_ * num_units_ * runs_per_unit_;
}

WinogradCorrelationKernel::Task WinogradCorrelationKernel::task_at(int64_t task) const {
  Task result;
  result.piece = task % (runs_per_unit_ * num_units_);
  const int64_t run = task % runs_per_unit_;
  task /= runs_per_unit_;
  const int64_t unit = task % num_units_;
  task /= num_units_;
  const int64_t part = task % group_parts_;
  result.n = task / group_parts_;
  result.first_group = static_cast<size_t>(part * groups_per_part_);
  result.last_group =
      std::min(result.first_group + static_cast<size_t>(groups_per_part_), groups_.size());
  result.first_tile = unit * unit_tiles_ + run * run_tiles_;
  result.last_tile = std::min(result.first_tile + run_tiles_, (unit + 1) * unit_tiles_);
  return result;
}

Box3 WinogradCorrelationKernel::task_outputs(const Task& task) const {
  const CorrelationGeometry& g = problem_.geometry;
  return winograd_outputs(shape_, tiles_, task.first_tile, task.last_tile,
                          {g.d.count, g.h.count, g.w.count});
}

Box3 WinogradCorrelationKernel::input_box(int phase, int64_t task, int input) const {
  if (input == problem_.weights_input) {
    return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase != 1) return {};
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  if (input == problem_.rectified_input) return output_box(phase, task, 0);
  return problem_.geometry.source_box(task_outputs(task_at(task)));
}

Box3 WinogradCorrelationKernel::output_box(int phase, int64_t task, int output) const {
  if (output == problem_.moments_output) return phase == 2 ? moments_.output_box(task) : Box3{};
  if (phase != 1 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
  return task_outputs(task_at(task));
}

bool WinogradCorrelationKernel::wanted(const Group& group, const KernelArgs& args) const {
  for (int32_t b = 0; b < group.num_blocks; ++b) {
    const ChannelBlock& block = destination_blocks_[group.first_block + static_cast<size_t>(b)];
    if (args.outputs[static_cast<size_t>(block.tensor)].view.origin != nullptr) return true;
  }
  return false;
}

void WinogradCorrelationKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    transform_weights(task, args);
    return;
  }
  if (phase == 2) {
    moments_.fold(task, args);
    return;
  }
  const Task one = task_at(task);
  const Scratch scratch(*this, args.thread_scratch);
  for (int64_t first = one.first_tile; first < one.last_tile; first += blocks_.block_tiles) {
    const int64_t last = std::min(first + blocks_.block_tiles, one.last_tile);
    const auto runs = blocks_.cut({0, 0, 0}, tiles_, first, last, scratch.runs);
    transform_source(one, runs, scratch, args);
    for (int64_t row = 0; row < shape_.points.d * shape_.points.h; ++row) {
      multiply(one, runs, row, scratch, args);
    }
    transform_result(one, runs, first == one.first_tile, scratch, args);
  }
}

void WinogradCorrelationKernel::transform_weights(int64_t task, const KernelArgs& args) const {
  const auto num_sources = static_cast<int64_t>(source_blocks_.size());
  const Group& group = groups_[static_cast<size_t>(task / num_sources)];
  const ChannelBlock& source = source_blocks_[static_cast<size_t>(task % num_sources)];
  const int64_t lane_floats = int64_t{group.num_blocks} * 16;
  float* out = reinterpret_cast<float*>(args.shared_scratch) + group.weights_offset +
               source.channel * lane_floats;
  float* taps = Scratch(*this, args.thread_scratch).taps;
  for (int64_t lane = 0; lane < source.lanes; ++lane) {
    for (int32_t b = 0; b < group.num_blocks; ++b) {
      transform_lane_weights(problem_, args, shape_.tile, isa_, source, lane,
                             destination_blocks_[group.first_block + static_cast<size_t>(b)], taps,
                             out + lane * lane_floats + b * 16, weights_pitch_);
    }
  }
}

void WinogradCorrelationKernel::transform_source(const Task& task,
                                                 std::span<const WinogradRun> runs,
                                                 const Scratch& scratch,
                                                 const KernelArgs& args) const {
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_input_columns);
  for (size_t index = 0; index < source_blocks_.size(); ++index) {
    const ChannelBlock& block = source_blocks_[index];
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_source + block.tensor)];
    for (const WinogradRun& run : runs) {
      WinogradInputColumns columns =
          input_columns_of(blocks_, run, problem_.geometry, input, block, task.n);
      columns.destination =
          scratch.columns + (static_cast<int64_t>(index) * block_columns_ + run.column) * 16;
      columns.row_pitch = columns_pitch_;
      transform_columns(shape_.tile, columns);
    }
  }
}

void WinogradCorrelationKernel::multiply(const Task& task, std::span<const WinogradRun> runs,
                                         int64_t row, const Scratch& scratch,
                                         const KernelArgs& args) const {
  const auto transform_source_axis = WM_PICK_ISA(isa_, winograd_input_axis);
  const auto multiply_tiles = WM_PICK_ISA(isa_, winograd_product);
  const auto transform_products = WM_PICK_ISA(isa_, winograd_output_axis);
  const int64_t points = shape_.points.w;
  const size_t first_block = groups_[task.first_group].first_block;
  WinogradAxisPass source{};
  source.frequency_pitch = source_pitch_;
  WinogradAxisPass result{};
  result.source = scratch.products;
  result.frequency_pitch = products_pitch_;
  WinogradProduct product{};
  product.num_frequencies = static_cast<int32_t>(points);
  product.source = scratch.source;
  product.source_pitch = source_pitch_;
  product.block_pitch = blocks_.chunk_tiles * 16;
  product.num_blocks = static_cast<int32_t>(source_blocks_.size());
  product.lanes = source_lanes_.data();
  product.weights_pitch = weights_pitch_;
  product.result = scratch.products;
  product.result_frequency_pitch = products_pitch_;
  product.result_pitch = blocks_.chunk_tiles * 16;
  for (size_t run = 0; run < runs.size();) {
    const int64_t first = runs[run].position;
    const int64_t chunk = first / blocks_.chunk_tiles;
    int64_t num_tiles = 0;
    for (; run < runs.size() && runs[run].position / blocks_.chunk_tiles == chunk; ++run) {
      source.num_tiles = runs[run].count;
      for (int64_t index = 0; index < product.num_blocks; ++index) {
        source.source = scratch.columns + row * columns_pitch_ +
                        (index * block_columns_ + runs[run].column) * 16;
        source.destination = scratch.source + (index * blocks_.chunk_tiles + num_tiles) * 16;
        transform_source_axis(shape_.tile, source);
      }
      num_tiles += runs[run].count;
    }
    product.num_tiles = num_tiles;
    result.num_tiles = num_tiles;
    for (size_t index = task.first_group; index < task.last_group; ++index) {
      const Group& group = groups_[index];
      if (!wanted(group, args)) continue;
      product.weights = reinterpret_cast<const float*>(args.shared_scratch) +
                        row * points * weights_pitch_ + group.weights_offset;
      product.num_destinations = group.num_blocks;
      multiply_tiles(product);
      for (int64_t b = 0; b < group.num_blocks; ++b) {
        const auto block = static_cast<int64_t>(group.first_block - first_block) + b;
        result.source = scratch.products + b * blocks_.chunk_tiles * 16;
        result.destination = scratch.result + row * result_pitch_ +
                             (block * blocks_.block_tiles + first) * shape_.outputs.w * 16;
        transform_products(shape_.tile, result);
      }
    }
  }
}

void WinogradCorrelationKernel::transform_result(const Task& task,
                                                 std::span<const WinogradRun> runs, bool starts,
                                                 const Scratch& scratch,
                                                 const KernelArgs& args) const {
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_output_columns);
  const size_t first_block = groups_[task.first_group].first_block;
  const Group& last_group = groups_[task.last_group - 1];
  const size_t last_block = last_group.first_block + static_cast<size_t>(last_group.num_blocks);
  for (size_t index = first_block; index < last_block; ++index) {
    const ChannelBlock& block = destination_blocks_[index];
    if (args.outputs[static_cast<size_t>(block.tensor)].view.origin == nullptr) continue;
    LaneMoments* moments = nullptr;
    if (moments_.wanted(args)) {
      moments = starts ? &moments_.begin_piece(task.piece, block.block, args)
                       : &moments_.piece(task.piece, block.block, args);
    }
    load_bias(problem_, args, block, scratch.bias);
    for (const WinogradRun& run : runs) {
      WinogradOutputColumns columns = output_columns_of(shape_, run, problem_, args, block, task.n);
      columns.source =
          scratch.result +
          (static_cast<int64_t>(index - first_block) * blocks_.block_tiles + run.position) *
              shape_.outputs.w * 16;
      columns.row_pitch = result_pitch_;
      columns.bias = scratch.bias;
      columns.moments = moments;
      transform_columns(shape_.tile, columns);
    }
  }
}

}  // namespace wholemount
