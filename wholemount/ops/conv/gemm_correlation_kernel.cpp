#include "wholemount/ops/conv/gemm_correlation_kernel.h"

#include <algorithm>

#include "wholemount/base/cpu.h"
#include "wholemount/ops/conv/inner/gemm_tile.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

/// Enough tasks for many threads to end at about the same time.
constexpr int64_t kWantedTasks = 64;
/// Every part of the columns packs the sources anew, so parts are made only when there are fewer
/// runs of voxels than this.
constexpr int64_t kWantedWithParts = 16;
/// Columns a packed vector should meet, so that packing stays cheap beside multiplying.
constexpr int64_t kMinColumns = 8;
/// Voxels of a chunk, at most: more would only lengthen the way back to the first-level cache.
constexpr int64_t kMaxChunkVoxels = 448;
/// Rows of at least this many voxels are multiplied where they lie, without packing them first.
constexpr int64_t kMinRowVoxels = 20;
/// Weights up to this size stay in the first-level cache while all columns of a tile pass by.
constexpr int64_t kSmallWeightBytes = 20 << 10;
/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;
/// Added to the distance of streams: powers of two would map them to few cache sets.
constexpr int64_t kPitchPad = 16;

Extent3 unit_or(const Extent3& stride, bool strided) { return strided ? stride : Extent3{1, 1, 1}; }

}  // namespace

std::string GemmCorrelationKernel::refusal(const CorrelationProblem& problem) {
  const auto blocked = [](const TensorDesc& desc) {
    return desc.n == 0 || (desc.dtype == DType::f32 && desc.layout == Layout::blocked16);
  };
  if (problem.weights.dtype != DType::f32 ||
      !std::all_of(problem.sources.begin(), problem.sources.end(), blocked) ||
      !std::all_of(problem.destinations.begin(), problem.destinations.end(), blocked)) {
    return "takes float32 tensors of more than 4 channels";
  }
  const CorrelationGeometry& g = problem.geometry;
  const Extent3 source{g.d.source_extent, g.h.source_extent, g.w.source_extent};
  const Extent3 destination{g.d.destination_extent, g.h.destination_extent, g.w.destination_extent};
  return patch_geometry_refusal(problem.conv, problem.adjoint ? source : destination,
                                problem.adjoint ? destination : source);
}

struct GemmCorrelationKernel::Scratch {
  Scratch(const GemmCorrelationKernel& kernel, std::byte* base) : cursor(base) {
    const auto tensors = static_cast<int64_t>(kernel.problem_.destinations.size());
    bias = cursor.take<float>(static_cast<int64_t>(kernel.columns_.size()) * 16);
    streams = cursor.take<const float*>(static_cast<int64_t>(kernel.streams_.size()));
    offsets = cursor.take<int64_t>(tensors * kernel.offset_voxels_);
    // A tile at the end of the last stream reads behind it.
    source = cursor.take<float>(checked_add(
        checked_multiply(static_cast<int64_t>(kernel.streams_.size()), kernel.stream_pitch_),
        WM_PICK_ISA(kernel.isa_, gemm_tile_voxels)() * 16));
  }
  ScratchCursor cursor;
  float* bias;
  const float** streams;
  int64_t* offsets;
  float* source;
};

GemmCorrelationKernel::GemmCorrelationKernel(CorrelationProblem problem, Isa isa,
                                             std::string reason)
    : problem_(std::move(problem)),
      isa_(isa),
      reason_(std::move(reason)),
      source_blocks_(channel_blocks(problem_.sources)),
      destination_blocks_(channel_blocks(problem_.destinations)),
      streams_(slices(source_blocks_.size(), !problem_.adjoint)),
      columns_(slices(destination_blocks_.size(), problem_.adjoint)) {
  const CorrelationGeometry& g = problem_.geometry;
  coarse_ = problem_.adjoint
                ? Extent3{g.d.source_extent, g.h.source_extent, g.w.source_extent}
                : Extent3{g.d.destination_extent, g.h.destination_extent, g.w.destination_extent};
  for (const Slice& stream : streams_) {
    stream_lanes_.push_back(source_blocks_[stream.block].lanes);
    rows_of_weights_ += stream_lanes_.back();
  }
  build_groups();
  choose_tasks();
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::vector<GemmCorrelationKernel::Slice> GemmCorrelationKernel::slices(size_t num_blocks,
                                                                        bool every_tap) const {
  std::vector<Slice> result;
  const Extent3 taps = unit_or(problem_.conv.kernel, every_tap);
  for (size_t block = 0; block < num_blocks; ++block) {
    int64_t index = 0;
    for (int64_t d = 0; d < taps.d; ++d) {
      for (int64_t h = 0; h < taps.h; ++h) {
        for (int64_t w = 0; w < taps.w; ++w) result.push_back({block, {d, h, w}, index++});
      }
    }
  }
  return result;
}

void GemmCorrelationKernel::build_groups() {
  const auto most = static_cast<size_t>(WM_PICK_ISA(isa_, gemm_max_columns)());
  int64_t offset = 0;
  for (size_t column = 0; column < columns_.size(); column += most) {
    const size_t count = std::min(most, columns_.size() - column);
    groups_.push_back({column, static_cast<int32_t>(count), offset});
    offset =
        checked_add(offset, checked_multiply(rows_of_weights_, static_cast<int64_t>(count) * 16));
  }
  shared_bytes_ = static_cast<size_t>(checked_multiply(offset, int64_t{sizeof(float)}));
}

void GemmCorrelationKernel::choose_tasks() {
  const int64_t tile = WM_PICK_ISA(isa_, gemm_tile_voxels)();
  const int64_t n = problem_.sources.front().n;
  const int64_t voxel_bytes =
      static_cast<int64_t>(streams_.size()) * 16 * static_cast<int64_t>(sizeof(float));
  chunk_voxels_ =
      std::clamp(kChunkBytes / voxel_bytes / tile, int64_t{1}, kMaxChunkVoxels / tile) * tile;
  chunk_voxels_ = std::min(chunk_voxels_, round_up(volume(coarse_), tile));
  stream_pitch_ = chunk_voxels_ * 16 + kPitchPad;
  rows_in_place_ = !problem_.adjoint && problem_.conv.stride.w == 2 && coarse_.w >= kMinRowVoxels;
  offset_voxels_ = rows_in_place_ ? std::max(chunk_voxels_, coarse_.w) : chunk_voxels_;
  tasks_ = CoarseTasks(coarse_, divide_up(kWantedTasks, n), chunk_voxels_);
  const auto num_groups = std::max<int64_t>(static_cast<int64_t>(groups_.size()), 1);
  const int64_t parts = divide_up(kWantedWithParts, n * tasks_.count());
  groups_per_part_ =
      std::min(std::max(divide_up(num_groups, parts),
                        divide_up(kMinColumns, WM_PICK_ISA(isa_, gemm_max_columns)())),
               num_groups);
  group_parts_ = divide_up(num_groups, groups_per_part_);
}

std::string GemmCorrelationKernel::name() const {
  return problem_.pass + "_gemm_" + std::string(isa_name(isa_));
}

int64_t GemmCorrelationKernel::num_tasks(int phase) const {
  if (phase == 0) return static_cast<int64_t>(groups_.size());
  if (groups_.empty()) return 0;
  return problem_.sources.front().n * group_parts_ * tasks_.count();
}

GemmCorrelationKernel::Task GemmCorrelationKernel::task_at(int64_t task) const {
  Task result;
  result.rows = tasks_.at(task % tasks_.count());
  task /= tasks_.count();
  const int64_t part = task % group_parts_;
  result.n = task / group_parts_;
  result.first_group = static_cast<size_t>(part * groups_per_part_);
  result.last_group =
      std::min(result.first_group + static_cast<size_t>(groups_per_part_), groups_.size());
  return result;
}

Box3 GemmCorrelationKernel::input_box(int phase, int64_t task, int input) const {
  if (input == problem_.weights_input) {
    return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase == 0) return {};
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  return problem_.geometry.source_box(task_at(task).rows.box);
}

Box3 GemmCorrelationKernel::output_box(int phase, int64_t task, int output) const {
  if (phase == 0 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
  return problem_.geometry.destination_box(task_at(task).rows.box);
}

void GemmCorrelationKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    pack_weights(static_cast<size_t>(task), args);
    return;
  }
  const Task one = task_at(task);
  const Scratch scratch(*this, args.thread_scratch);
  fill_bias(scratch, args);
  if (rows_in_place_ && std::all_of(args.inputs.begin() + problem_.first_source, args.inputs.end(),
                                    [](const InputView& x) { return x.transform.identity(); })) {
    const Box3& box = one.rows.box;
    for (int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (int64_t h = box.begin.h; h < box.end.h; ++h) multiply_row(one, d, h, scratch, args);
    }
  } else {
    const int64_t voxels = one.rows.voxels();
    for (int64_t first = 0; first < voxels; first += chunk_voxels_) {
      multiply_chunk(one, first, std::min(first + chunk_voxels_, voxels), scratch, args);
    }
  }
  stream_fence();
}

void GemmCorrelationKernel::fill_bias(const Scratch& scratch, const KernelArgs& args) const {
  const float* bias =
      problem_.bias_input < 0
          ? nullptr
          : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  float* out = scratch.bias;
  for (const Slice& column : columns_) {
    const ChannelBlock& block = destination_blocks_[column.block];
    for (int64_t c = 0; c < 16; ++c) {
      *out++ = bias != nullptr && c < block.lanes ? bias[block.channel + c] : 0.0F;
    }
  }
}

void GemmCorrelationKernel::pack_weights(size_t group_index, const KernelArgs& args) const {
  const Group& group = groups_[group_index];
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  const int64_t source_stride = problem_.source_weight_stride();
  const int64_t destination_stride = problem_.destination_weight_stride();
  float* out = reinterpret_cast<float*>(args.shared_scratch) + group.weights_offset;
  for (const Slice& stream : streams_) {
    const ChannelBlock& source = source_blocks_[stream.block];
    for (int64_t lane = 0; lane < source.lanes; ++lane) {
      for (int32_t i = 0; i < group.num_columns; ++i) {
        const Slice& column = columns_[group.first_column + static_cast<size_t>(i)];
        const ChannelBlock& destination = destination_blocks_[column.block];
        const float* from = weights + (source.channel + lane) * source_stride +
                            destination.channel * destination_stride + stream.tap_index +
                            column.tap_index;
        for (int64_t c = 0; c < 16; ++c) {
          *out++ = c < destination.lanes ? from[c * destination_stride] : 0.0F;
        }
      }
    }
  }
}

void GemmCorrelationKernel::multiply_chunk(const Task& task, int64_t first, int64_t last,
                                           const Scratch& scratch, const KernelArgs& args) const {
  const Extent3& stride = problem_.conv.stride;
  for (size_t s = 0; s < streams_.size(); ++s) {
    const ChannelBlock& block = source_blocks_[streams_[s].block];
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_source + block.tensor)];
    float* packed = scratch.source + static_cast<int64_t>(s) * stream_pitch_;
    pack_patch_voxels({&input, block, task.n, unit_or(stride, !problem_.adjoint), streams_[s].tap},
                      task.rows, first, last, isa_, packed);
    scratch.streams[s] = packed;
  }
  find_outputs(task.rows, first, last, scratch, args);
  // Small weights: all columns of a tile while its voxels are near. Large ones: all voxels.
  const int64_t tile = WM_PICK_ISA(isa_, gemm_tile_voxels)();
  const bool small = static_cast<int64_t>(shared_bytes_) <= kSmallWeightBytes;
  const int64_t run_voxels = small ? tile : last - first;
  GemmRun run{};
  run.streams = scratch.streams;
  run.pitch = 16;
  for (run.first = 0; run.first < last - first; run.first += run_voxels) {
    run.last = std::min(run.first + run_voxels, last - first);
    multiply_groups(task, run, scratch, args);
  }
}

void GemmCorrelationKernel::multiply_row(const Task& task, int64_t d, int64_t h,
                                         const Scratch& scratch, const KernelArgs& args) const {
  const Extent3& stride = problem_.conv.stride;
  GemmRun run{};
  for (size_t s = 0; s < streams_.size(); ++s) {
    const ChannelBlock& block = source_blocks_[streams_[s].block];
    const Extent3& tap = streams_[s].tap;
    const TensorView& view =
        args.inputs[static_cast<size_t>(problem_.first_source + block.tensor)].view;
    scratch.streams[s] =
        view.at<float>(task.n, block.block, d * stride.d + tap.d, h * stride.h + tap.h, tap.w);
    run.prefetch = h + 1 < task.rows.box.end.h ? stride.h * view.row_pitch : 0;
  }
  const CoarseRows row{{{d, h, 0}, {d + 1, h + 1, coarse_.w}}};
  find_outputs(row, 0, coarse_.w, scratch, args);
  run.streams = scratch.streams;
  run.pitch = 32;
  run.last = coarse_.w;
  multiply_groups(task, run, scratch, args);
}

void GemmCorrelationKernel::find_outputs(const CoarseRows& rows, int64_t first, int64_t last,
                                         const Scratch& scratch, const KernelArgs& args) const {
  for (size_t t = 0; t < problem_.destinations.size(); ++t) {
    const TensorView& view = args.outputs[t].view;
    if (problem_.destinations[t].n == 0 || view.origin == nullptr) continue;
    patch_offsets(view, unit_or(problem_.conv.stride, problem_.adjoint), rows, first, last,
                  scratch.offsets + static_cast<int64_t>(t) * offset_voxels_);
  }
}

void GemmCorrelationKernel::multiply_groups(const Task& task, GemmRun& run, const Scratch& scratch,
                                            const KernelArgs& args) const {
  const auto multiply = WM_PICK_ISA(isa_, gemm_run);
  run.num_streams = static_cast<int32_t>(streams_.size());
  run.lanes = stream_lanes_.data();
  for (size_t index = task.first_group; index < task.last_group; ++index) {
    const Group& group = groups_[index];
    run.weights = reinterpret_cast<const float*>(args.shared_scratch) + group.weights_offset;
    run.num_columns = group.num_columns;
    run.bias = scratch.bias + group.first_column * 16;
    run.stream = true;
    bool wanted = false;
    for (int32_t i = 0; i < group.num_columns; ++i) {
      const Slice& column = columns_[group.first_column + static_cast<size_t>(i)];
      const ChannelBlock& block = destination_blocks_[column.block];
      const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
      run.out[i] = nullptr;
      if (view.origin == nullptr) continue;
      wanted = true;
      run.out[i] = view.at<float>(task.n, block.block, column.tap.d, column.tap.h, column.tap.w);
      // Tensors of one node share their pitches.
      run.offsets = scratch.offsets + block.tensor * offset_voxels_;
      run.stream = run.stream && static_cast<int64_t>(view.desc.bytes()) >= kStreamBytes &&
                   reinterpret_cast<uintptr_t>(run.out[i]) % 64 == 0;
    }
    if (wanted) multiply(run);
    // What comes next is asked for once.
    run.prefetch = 0;
  }
}

}  // namespace wholemount
