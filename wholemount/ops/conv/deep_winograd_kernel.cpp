#include "wholemount/ops/conv/deep_winograd_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/winograd_product.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"
#include "wholemount/ops/conv/scratch_cursor.h"
#include "wholemount/ops/conv/winograd_weights.h"

namespace wholemount {

namespace {

/// Tasks that keep several threads busy; each part of the destinations transforms the source anew.
constexpr int64_t kWantedTasks = 16;
/// Destination groups that share a transformed source, at least, where there are as many.
constexpr int64_t kMinGroupsPerPart = 2;
constexpr int64_t kMaxChunkBlocks = 4;
/// Register tiles of a block of tiles, at most: enough work for weights transformed once.
constexpr int64_t kBlockSteps = 2;
constexpr int64_t kMinBlockTiles = 24;

}  // namespace

struct DeepWinogradKernel::Scratch {
  Scratch(const DeepWinogradKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t frequencies = kernel.shape_.frequencies();
    const int64_t rows = frequencies / kernel.shape_.points.w;
    bias = cursor.take<float>(16);
    taps = cursor.take<float>(27 * 16);
    runs = cursor.take<WinogradRun>(kernel.blocks_.max_runs());
    ranges = cursor.take<LineRange>(std::max(kernel.group_blocks_, kernel.chunk_blocks_) * 16);
    source = cursor.take<float>(checked_multiply(frequencies, kernel.source_pitch_));
    sums = cursor.take<float>(checked_multiply(kernel.groups_per_part_, kernel.group_floats_));
    const int64_t weight_floats = checked_multiply(frequencies, kernel.weights_pitch_);
    const int64_t column_floats =
        checked_multiply(rows, std::max(kernel.columns_pitch_, kernel.result_pitch_));
    weights = cursor.take<float>(std::max(weight_floats, column_floats));
    columns = weights;
  }
  ScratchCursor cursor;
  float* bias;
  float* taps;
  WinogradRun* runs;
  LineRange* ranges;
  float* source;   ///< [frequency][source block of a chunk][tile][16]
  float* sums;     ///< [group][frequency][destination block][tile][16]
  float* weights;  ///< [frequency][channel of a chunk][destination block][16]
  float* columns;  ///< [frequency pair][column][16], of source or result: before or after weights
};

DeepWinogradKernel::DeepWinogradKernel(CorrelationProblem problem, WinogradTile tile, Isa isa,
                                       std::string reason)
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
  const auto most = static_cast<size_t>(WM_PICK_ISA(isa_, winograd_max_destinations)());
  for (size_t block = 0; block < destination_blocks_.size(); block += most) {
    const size_t count = std::min(most, destination_blocks_.size() - block);
    groups_.push_back({block, static_cast<int32_t>(count)});
  }
  group_blocks_ = groups_.empty() ? 1 : groups_.front().num_blocks;
  choose_tasks();
  if (problem_.moments_output >= 0) {
    moments_ = {problem_.moments_output, sample_blocks_, problem_.destination_channels(), 0};
  }
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

void DeepWinogradKernel::choose_tasks() {
  const int64_t n = problem_.sources.front().n;
  const int64_t step = WM_PICK_ISA(isa_, winograd_tile_step)();
  const int64_t sample_tiles = std::max<int64_t>(volume(tiles_), 1);
  const int64_t most_tiles = std::max(kBlockSteps * step, round_up(kMinBlockTiles, step));
  sample_blocks_ = divide_up(sample_tiles, most_tiles);
  const int64_t block = divide_up(sample_tiles, sample_blocks_);
  blocks_ = {shape_, std::max<int64_t>(tiles_.w, 1), block, block};
  padded_tiles_ = round_up(block, step);

  // In vectors at all frequencies: a tile of a source block, a lane of weights, a tile of sums.
  const int64_t vector_bytes = shape_.frequencies() * 16 * int64_t{sizeof(float)};
  const int64_t vectors = kCacheBytes / vector_bytes;
  const int64_t chunk_vectors = padded_tiles_ + 16 * group_blocks_;
  const int64_t group_vectors = padded_tiles_ * group_blocks_;
  const auto num_groups = std::max<int64_t>(static_cast<int64_t>(groups_.size()), 1);
  const int64_t fitting =
      std::clamp<int64_t>((vectors - chunk_vectors) / group_vectors, 1, num_groups);
  const int64_t parts = divide_up(kWantedTasks, n * sample_blocks_);
  groups_per_part_ = std::clamp<int64_t>(divide_up(num_groups, parts),
                                         std::min(kMinGroupsPerPart, fitting), fitting);
  group_parts_ = divide_up(num_groups, groups_per_part_);
  groups_per_part_ = divide_up(num_groups, group_parts_);
  const auto num_sources = std::max<int64_t>(static_cast<int64_t>(source_blocks_.size()), 1);
  chunk_blocks_ = std::clamp<int64_t>((vectors - groups_per_part_ * group_vectors) / chunk_vectors,
                                      1, std::min(kMaxChunkBlocks, num_sources));
  chunk_blocks_ = divide_up(num_sources, divide_up(num_sources, chunk_blocks_));

  source_pitch_ = odd_pitch(chunk_blocks_ * padded_tiles_);
  weights_pitch_ = odd_pitch(chunk_blocks_ * 16 * group_blocks_);
  sums_pitch_ = odd_pitch(group_vectors);
  group_floats_ = checked_multiply(shape_.frequencies(), sums_pitch_);
  columns_pitch_ = odd_pitch(blocks_.max_columns());
  result_pitch_ = odd_pitch(block * shape_.outputs.w);
}

std::string DeepWinogradKernel::name() const {
  return problem_.pass + "_deep_winograd_" + winograd_name(shape_.tile) + "_" +
         std::string(isa_name(isa_));
}

int64_t DeepWinogradKernel::num_tasks(int phase) const {
  if (phase == 1) return moments_.num_tasks();
  if (groups_.empty()) return 0;
  return problem_.sources.front().n * group_parts_ * sample_blocks_;
}

DeepWinogradKernel::Task DeepWinogradKernel::task_at(int64_t task) const {
  Task result;
  const int64_t block = task % sample_blocks_;
  result.piece = block;
  task /= sample_blocks_;
  const int64_t part = task % group_parts_;
  result.n = task / group_parts_;
  result.first_group = static_cast<size_t>(part * groups_per_part_);
  result.last_group =
      std::min(result.first_group + static_cast<size_t>(groups_per_part_), groups_.size());
  result.first_tile = block * blocks_.block_tiles;
  result.last_tile = std::min(result.first_tile + blocks_.block_tiles, volume(tiles_));
  return result;
}

Box3 DeepWinogradKernel::task_outputs(const Task& task) const {
  const CorrelationGeometry& g = problem_.geometry;
  return winograd_outputs(shape_, tiles_, task.first_tile, task.last_tile,
                          {g.d.count, g.h.count, g.w.count});
}

Box3 DeepWinogradKernel::input_box(int phase, int64_t task, int input) const {
  if (phase == 1) return {};
  if (input == problem_.weights_input) return whole_box(problem_.weights.extent);
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  if (input == problem_.rectified_input) return output_box(phase, task, 0);
  return problem_.geometry.source_box(task_outputs(task_at(task)));
}

Box3 DeepWinogradKernel::output_box(int phase, int64_t task, int output) const {
  if (output == problem_.moments_output) return phase == 1 ? moments_.output_box(task) : Box3{};
  if (phase == 1 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
  return task_outputs(task_at(task));
}

bool DeepWinogradKernel::wanted(const Group& group, const KernelArgs& args) const {
  for (int32_t b = 0; b < group.num_blocks; ++b) {
    const ChannelBlock& block = destination_blocks_[group.first_block + static_cast<size_t>(b)];
    if (args.outputs[static_cast<size_t>(block.tensor)].view.origin != nullptr) return true;
  }
  return false;
}

size_t DeepWinogradKernel::next_wanted(const Task& task, size_t group,
                                       const KernelArgs& args) const {
  while (group < task.last_group && !wanted(groups_[group], args)) ++group;
  return group;
}

void DeepWinogradKernel::run(int phase, int64_t task_number, const KernelArgs& args) const {
  if (phase == 1) {
    moments_.fold(task_number, args);
    return;
  }
  const Task task = task_at(task_number);
  const size_t first_group = next_wanted(task, task.first_group, args);
  if (first_group == task.last_group) return;
  const Scratch scratch(*this, args.thread_scratch);
  const auto runs = blocks_.cut({0, 0, 0}, tiles_, task.first_tile, task.last_tile, scratch.runs);
  const auto multiply = WM_PICK_ISA(isa_, winograd_add_products);
  WinogradSums product{};
  product.num_frequencies = static_cast<int32_t>(shape_.frequencies());
  product.source = scratch.source;
  product.source_pitch = source_pitch_;
  product.block_pitch = padded_tiles_ * 16;
  product.weights = scratch.weights;
  product.weights_pitch = weights_pitch_;
  product.sums_pitch = sums_pitch_;
  product.destination_pitch = padded_tiles_ * 16;
  product.num_tiles = task.last_tile - task.first_tile;
  const auto num_sources = source_blocks_.size();
  const auto step = static_cast<size_t>(chunk_blocks_);
  for (size_t first = 0; first < num_sources; first += step) {
    const Chunk chunk{first, std::min(first + step, num_sources)};
    transform_source(task, chunk, runs, scratch, args);
    product.num_blocks = static_cast<int32_t>(chunk.last - chunk.first);
    product.lanes = source_lanes_.data() + chunk.first;
    product.add = first > 0;
    for (size_t group = first_group; group < task.last_group;) {
      transform_weights(groups_[group], chunk, scratch, args);
      const size_t next = next_wanted(task, group + 1, args);
      // Weights come from afar: those needed next are asked for while these are multiplied.
      LinesAhead ahead{scratch.ranges};
      if (next < task.last_group) {
        ahead.num_ranges = weights_ahead(groups_[next], chunk, args, scratch.ranges);
      } else if (chunk.last < num_sources) {
        const Chunk later{chunk.last, std::min(chunk.last + step, num_sources)};
        ahead.num_ranges = weights_ahead(groups_[first_group], later, args, scratch.ranges);
      }
      int64_t lines = 0;
      for (int64_t i = 0; i < ahead.num_ranges; ++i) lines += scratch.ranges[i].lines;
      product.num_destinations = groups_[group].num_blocks;
      ahead.per_step = divide_up(
          lines, product.num_frequencies * WM_PICK_ISA(isa_, winograd_sums_steps)(
                                               product.num_tiles, product.num_destinations));
      product.ahead = &ahead;
      product.sums = scratch.sums + static_cast<int64_t>(group - task.first_group) * group_floats_;
      multiply(product);
      group = next;
    }
  }
  transform_result(task, runs, scratch, args);
}

void DeepWinogradKernel::transform_source(const Task& task, const Chunk& chunk,
                                          std::span<const WinogradRun> runs, const Scratch& scratch,
                                          const KernelArgs& args) const {
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_input_columns);
  const auto transform_axis = WM_PICK_ISA(isa_, winograd_input_axis);
  for (size_t index = chunk.first; index < chunk.last; ++index) {
    const ChannelBlock& block = source_blocks_[index];
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_source + block.tensor)];
    float* out = scratch.source + static_cast<int64_t>(index - chunk.first) * padded_tiles_ * 16;
    for (const WinogradRun& run : runs) {
      WinogradInputColumns columns =
          input_columns_of(blocks_, run, problem_.geometry, input, block, task.n);
      columns.destination = scratch.columns + run.column * 16;
      columns.row_pitch = columns_pitch_;
      transform_columns(shape_.tile, columns);
    }
    for (int64_t row = 0; row < shape_.points.d * shape_.points.h; ++row) {
      for (const WinogradRun& run : runs) {
        transform_axis(shape_.tile,
                       {scratch.columns + row * columns_pitch_ + run.column * 16,
                        out + row * shape_.points.w * source_pitch_ + run.position * 16,
                        source_pitch_, run.count});
      }
    }
  }
}

void DeepWinogradKernel::transform_weights(const Group& group, const Chunk& chunk,
                                           const Scratch& scratch, const KernelArgs& args) const {
  const int64_t lane_floats = int64_t{group.num_blocks} * 16;
  float* out = scratch.weights;
  for (size_t index = chunk.first; index < chunk.last; ++index) {
    const ChannelBlock& source = source_blocks_[index];
    for (int64_t lane = 0; lane < source.lanes; ++lane) {
      for (int32_t b = 0; b < group.num_blocks; ++b) {
        transform_lane_weights(problem_, args, shape_.tile, isa_, source, lane,
                               destination_blocks_[group.first_block + static_cast<size_t>(b)],
                               scratch.taps, out + b * 16, weights_pitch_);
      }
      out += lane_floats;
    }
  }
}

int64_t DeepWinogradKernel::weights_ahead(const Group& group, const Chunk& chunk,
                                          const KernelArgs& args, LineRange* ranges) const {
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  const ChannelBlock& source = source_blocks_[chunk.first];
  const ChannelBlock& destination = destination_blocks_[group.first_block];
  const ChannelBlock& last_source = source_blocks_[chunk.last - 1];
  const ChannelBlock& last_destination =
      destination_blocks_[group.first_block + static_cast<size_t>(group.num_blocks) - 1];
  const int64_t sources = last_source.channel + last_source.lanes - source.channel;
  const int64_t destinations =
      last_destination.channel + last_destination.lanes - destination.channel;
  const float* first = weights + source.channel * problem_.source_weight_stride() +
                       destination.channel * problem_.destination_weight_stride();
  // One of the two channels has its kernels side by side.
  const bool by_source = problem_.source_is_first_weight_axis;
  const int64_t count = by_source ? sources : destinations;
  const int64_t floats = (by_source ? destinations : sources) * volume(problem_.geometry.kernel);
  const int64_t stride =
      by_source ? problem_.source_weight_stride() : problem_.destination_weight_stride();
  for (int64_t i = 0; i < count; ++i) ranges[i] = {first + i * stride, divide_up(floats, 16)};
  return count;
}

void DeepWinogradKernel::transform_result(const Task& task, std::span<const WinogradRun> runs,
                                          const Scratch& scratch, const KernelArgs& args) const {
  const auto transform_axis = WM_PICK_ISA(isa_, winograd_output_axis);
  const auto transform_columns = WM_PICK_ISA(isa_, winograd_output_columns);
  const size_t first_block = groups_[task.first_group].first_block;
  const Group& last_group = groups_[task.last_group - 1];
  const size_t last_block = last_group.first_block + static_cast<size_t>(last_group.num_blocks);
  for (size_t index = first_block; index < last_block; ++index) {
    const ChannelBlock& block = destination_blocks_[index];
    if (args.outputs[static_cast<size_t>(block.tensor)].view.origin == nullptr) continue;
    LaneMoments* moments =
        moments_.wanted(args) ? &moments_.begin_piece(task.piece, block.block, args) : nullptr;
    const auto offset = static_cast<int64_t>(index - first_block);
    const float* sums = scratch.sums + offset / group_blocks_ * group_floats_ +
                        offset % group_blocks_ * padded_tiles_ * 16;
    for (int64_t row = 0; row < shape_.points.d * shape_.points.h; ++row) {
      transform_axis(shape_.tile, {sums + row * shape_.points.w * sums_pitch_,
                                   scratch.columns + row * result_pitch_, sums_pitch_,
                                   task.last_tile - task.first_tile});
    }
    load_bias(problem_, args, block, scratch.bias);
    for (const WinogradRun& run : runs) {
      WinogradOutputColumns columns = output_columns_of(shape_, run, problem_, args, block, task.n);
      columns.source = scratch.columns + run.position * shape_.outputs.w * 16;
      columns.row_pitch = result_pitch_;
      columns.bias = scratch.bias;
      columns.moments = moments;
      transform_columns(shape_.tile, columns);
    }
  }
}

}  // namespace wholemount
