#include "wholemount/ops/conv/winograd_correlation_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"
#include "wholemount/ops/conv/inner/winograd_product.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"
#include "wholemount/ops/conv/scratch_cursor.h"

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
constexpr int64_t kMaxBlockTiles = 112;
/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;
/// Added to the distance of frequencies: powers of two would map them to few cache sets.
constexpr int64_t kPitchPad = 16;

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
    const int64_t frequencies = kernel.shape_.frequencies();
    bias = cursor.take<float>(16);
    taps = cursor.take<float>(27 * 16);
    source = cursor.take<float>(checked_multiply(frequencies, kernel.source_pitch_));
    result = cursor.take<float>(checked_multiply(frequencies, kernel.result_pitch_));
  }
  ScratchCursor cursor;
  float* bias;
  float* taps;
  float* source;
  float* result;
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
  weights_pitch_ = offset + kPitchPad;
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
  const int64_t least = deep ? round_up(kMinDeepTiles, step) : step;

  // Blocks of tiles, first as if one task took all destination blocks.
  const auto block_tiles = [&](int64_t groups) {
    const int64_t destinations =
        groups * (groups_.empty() ? 1 : int64_t{groups_.front().num_blocks});
    const int64_t tile_bytes = shape_.frequencies() * 16 * int64_t{sizeof(float)} *
                               (static_cast<int64_t>(source_blocks_.size()) + destinations);
    const int64_t left = deep ? kBlockBytes / 2 : kBlockBytes - static_cast<int64_t>(shared_bytes_);
    return std::clamp(left / tile_bytes / step * step, least,
                      std::max(least, kMaxBlockTiles / step * step));
  };
  const int64_t rough = block_tiles(num_groups);
  const int64_t runs = n * divide_up(sample_tiles, rough);
  group_parts_ = std::clamp<int64_t>(divide_up(kWantedWithParts, runs), 1, num_groups);
  groups_per_part_ = divide_up(num_groups, group_parts_);
  group_parts_ = divide_up(num_groups, groups_per_part_);
  block_tiles_ = std::min(block_tiles(groups_per_part_), round_up(sample_tiles, step));

  // Tasks: whole planes of tiles or even pieces of one, for narrow slabs; small planes in one go.
  const int64_t wanted = std::max(divide_up(kWantedTasks, n * group_parts_), tiles_.d);
  if (plane_tiles >= 8 * block_tiles_) {
    unit_tiles_ = plane_tiles;
    const int64_t pieces =
        std::clamp<int64_t>(divide_up(wanted, tiles_.d), 1, plane_tiles / (4 * block_tiles_));
    run_tiles_ = round_up(divide_up(plane_tiles, pieces), block_tiles_);
  } else {
    unit_tiles_ = sample_tiles;
    run_tiles_ = round_up(divide_up(sample_tiles, wanted), block_tiles_);
  }
  num_units_ = divide_up(sample_tiles, unit_tiles_);
  runs_per_unit_ = divide_up(unit_tiles_, run_tiles_);

  const int64_t block_floats = block_tiles_ * 16;
  source_pitch_ =
      checked_multiply(static_cast<int64_t>(source_blocks_.size()), block_floats) + kPitchPad;
  const int64_t most_destinations =
      groups_per_part_ * (groups_.empty() ? 1 : int64_t{groups_.front().num_blocks});
  result_pitch_ = checked_multiply(most_destinations, block_floats) + kPitchPad;
}

std::string WinogradCorrelationKernel::name() const {
  return problem_.pass + "_winograd_" + winograd_name(shape_.tile) + "_" +
         std::string(isa_name(isa_));
}

int64_t WinogradCorrelationKernel::num_tasks(int phase) const {
  if (phase == 0) return static_cast<int64_t>(groups_.size() * source_blocks_.size());
  if (groups_.empty()) return 0;
  return problem_.sources.front().n * group_parts_ * num_units_ * runs_per_unit_;
}

WinogradCorrelationKernel::Task WinogradCorrelationKernel::task_at(int64_t task) const {
  Task result;
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
  const int64_t plane_tiles = tiles_.h * tiles_.w;
  const int64_t first = task.first_tile;
  const int64_t last = task.last_tile - 1;
  Box3 box{{first / plane_tiles, 0, 0}, {last / plane_tiles + 1, tiles_.h, tiles_.w}};
  if (box.end.d == box.begin.d + 1) {
    box.begin.h = first % plane_tiles / tiles_.w;
    box.end.h = last % plane_tiles / tiles_.w + 1;
  }
  const Extent3& m = shape_.outputs;
  return clip(
      {{box.begin.d * m.d, box.begin.h * m.h, 0}, {box.end.d * m.d, box.end.h * m.h, g.w.count}},
      {g.d.count, g.h.count, g.w.count});
}

Box3 WinogradCorrelationKernel::input_box(int phase, int64_t task, int input) const {
  if (input == problem_.weights_input) {
    return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase == 0) return {};
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  return problem_.geometry.source_box(task_outputs(task_at(task)));
}

Box3 WinogradCorrelationKernel::output_box(int phase, int64_t task, int output) const {
  if (phase == 0 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
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
  const Task one = task_at(task);
  const Scratch scratch(*this, args.thread_scratch);
  for (int64_t first = one.first_tile; first < one.last_tile; first += block_tiles_) {
    const int64_t last = std::min(first + block_tiles_, one.last_tile);
    transform_source(one, first, last, scratch, args);
    multiply(one, last - first, scratch, args);
    transform_result(one, first, last, scratch, args);
  }
}

void WinogradCorrelationKernel::transform_weights(int64_t task, const KernelArgs& args) const {
  const auto num_sources = static_cast<int64_t>(source_blocks_.size());
  const Group& group = groups_[static_cast<size_t>(task / num_sources)];
  const ChannelBlock& source = source_blocks_[static_cast<size_t>(task % num_sources)];
  const CorrelationGeometry& g = problem_.geometry;
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  const int64_t source_stride = problem_.source_weight_stride();
  const int64_t destination_stride = problem_.destination_weight_stride();
  const int64_t lane_floats = int64_t{group.num_blocks} * 16;
  float* out = reinterpret_cast<float*>(args.shared_scratch) + group.weights_offset +
               source.channel * lane_floats;
  float* taps = Scratch(*this, args.thread_scratch).taps;
  const auto filter = WM_PICK_ISA(isa_, winograd_filter);
  const auto gather = WM_PICK_ISA(isa_, gather_columns);
  for (int64_t lane = 0; lane < source.lanes; ++lane) {
    for (int32_t b = 0; b < group.num_blocks; ++b) {
      const ChannelBlock& destination =
          destination_blocks_[group.first_block + static_cast<size_t>(b)];
      const float* in = weights + (source.channel + lane) * source_stride +
                        destination.channel * destination_stride;
      // A convolution takes the kernel in its order, the adjoint backwards.
      const int64_t num_taps = volume(g.kernel);
      const int64_t step = problem_.adjoint ? -16 : 16;
      gather({in, destination_stride, destination.lanes, num_taps,
              problem_.adjoint ? taps + (num_taps - 1) * 16 : taps, step});
      filter(shape_.tile, taps, out + lane * lane_floats + b * 16, weights_pitch_);
    }
  }
}

WinogradCorrelationKernel::Run WinogradCorrelationKernel::run_at(int64_t tile, int64_t first,
                                                                 int64_t last) const {
  Run run;
  run.tile = {tile / (tiles_.h * tiles_.w), tile / tiles_.w % tiles_.h, tile % tiles_.w};
  run.position = tile - first;
  run.count = std::min(tiles_.w - run.tile.w, last - tile);
  return run;
}

void WinogradCorrelationKernel::transform_source(const Task& task, int64_t first, int64_t last,
                                                 const Scratch& scratch,
                                                 const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const auto transform_row = WM_PICK_ISA(isa_, winograd_input_row);
  // What of [start, start + count) exists, counted from start.
  const auto existing = [](int64_t start, int64_t count, int64_t extent, int64_t& begin,
                           int64_t& end) {
    begin = std::max<int64_t>(-start, 0);
    end = std::min(extent - start, count);
  };
  for (size_t index = 0; index < source_blocks_.size(); ++index) {
    const ChannelBlock& block = source_blocks_[index];
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_source + block.tensor)];
    const BlockTransform transform = block_transform(input.transform, block);
    for (int64_t tile = first; tile < last;) {
      const Run run = run_at(tile, first, last);
      const int64_t d = run.tile.d * shape_.outputs.d + g.d.min_offset;
      const int64_t h = run.tile.h * shape_.outputs.h + g.h.min_offset;
      const int64_t w = run.tile.w * shape_.outputs.w + g.w.min_offset;
      WinogradInputRow row{};
      row.source = input.view.at<float>(task.n, block.block, d, h, w);
      row.plane_pitch = input.view.plane_pitch;
      row.row_pitch = input.view.row_pitch;
      existing(d, shape_.points.d, g.d.source_extent, row.d_begin, row.d_end);
      existing(h, shape_.points.h, g.h.source_extent, row.h_begin, row.h_end);
      existing(w, run.count * shape_.outputs.w + shape_.points.w - shape_.outputs.w,
               g.w.source_extent, row.w_begin, row.w_end);
      row.num_tiles = run.count;
      row.transformed = transform.active;
      row.scale = transform.scale;
      row.shift = transform.shift;
      row.slope = transform.slope;
      row.destination =
          scratch.source + (static_cast<int64_t>(index) * block_tiles_ + run.position) * 16;
      row.frequency_pitch = source_pitch_;
      transform_row(shape_.tile, row);
      tile += run.count;
    }
  }
}

void WinogradCorrelationKernel::multiply(const Task& task, int64_t num_tiles,
                                         const Scratch& scratch, const KernelArgs& args) const {
  const auto multiply_tiles = WM_PICK_ISA(isa_, winograd_product);
  const size_t first_block = groups_[task.first_group].first_block;
  for (int64_t f = 0; f < shape_.frequencies(); ++f) {
    for (size_t index = task.first_group; index < task.last_group; ++index) {
      const Group& group = groups_[index];
      if (!wanted(group, args)) continue;
      WinogradProduct product{};
      product.source = scratch.source + f * source_pitch_;
      product.block_pitch = block_tiles_ * 16;
      product.num_blocks = static_cast<int32_t>(source_blocks_.size());
      product.lanes = source_lanes_.data();
      product.weights = reinterpret_cast<const float*>(args.shared_scratch) + f * weights_pitch_ +
                        group.weights_offset;
      product.num_destinations = group.num_blocks;
      product.result = scratch.result + f * result_pitch_ +
                       static_cast<int64_t>(group.first_block - first_block) * block_tiles_ * 16;
      product.result_pitch = block_tiles_ * 16;
      product.num_tiles = num_tiles;
      multiply_tiles(product);
    }
  }
}

void WinogradCorrelationKernel::transform_result(const Task& task, int64_t first, int64_t last,
                                                 const Scratch& scratch,
                                                 const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const auto transform_row = WM_PICK_ISA(isa_, winograd_output_row);
  const float* bias =
      problem_.bias_input < 0
          ? nullptr
          : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  const size_t first_block = groups_[task.first_group].first_block;
  const Group& last_group = groups_[task.last_group - 1];
  const size_t last_block = last_group.first_block + static_cast<size_t>(last_group.num_blocks);
  for (size_t index = first_block; index < last_block; ++index) {
    const ChannelBlock& block = destination_blocks_[index];
    const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
    if (view.origin == nullptr) continue;
    const bool stream = static_cast<int64_t>(view.desc.bytes()) >= kStreamBytes &&
                        reinterpret_cast<uintptr_t>(view.at<float>(0, 0)) % 64 == 0;
    for (int64_t c = 0; c < 16; ++c) {
      scratch.bias[c] = bias != nullptr && c < block.lanes ? bias[block.channel + c] : 0.0F;
    }
    for (int64_t tile = first; tile < last;) {
      const Run run = run_at(tile, first, last);
      const int64_t d = run.tile.d * shape_.outputs.d;
      const int64_t h = run.tile.h * shape_.outputs.h;
      const int64_t w = run.tile.w * shape_.outputs.w;
      WinogradOutputRow row{};
      row.source = scratch.result +
                   (static_cast<int64_t>(index - first_block) * block_tiles_ + run.position) * 16;
      row.frequency_pitch = result_pitch_;
      row.num_tiles = run.count;
      row.bias = scratch.bias;
      row.destination = view.at<float>(task.n, block.block, d, h, w);
      row.plane_pitch = view.plane_pitch;
      row.row_pitch = view.row_pitch;
      row.planes = std::min(shape_.outputs.d, g.d.count - d);
      row.rows = std::min(shape_.outputs.h, g.h.count - h);
      row.columns = std::min(run.count * shape_.outputs.w, g.w.count - w);
      row.stream = stream;
      transform_row(shape_.tile, row);
      tile += run.count;
    }
  }
}

}  // namespace wholemount
