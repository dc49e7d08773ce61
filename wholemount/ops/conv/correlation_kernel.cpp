#include "wholemount/ops/conv/correlation_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/correlation_scratch.h"
#include "wholemount/ops/conv/inner/columns.h"
#include "wholemount/ops/conv/inner/correlation_plane.h"
#include "wholemount/ops/conv/inner/correlation_rows.h"
#include "wholemount/ops/conv/inner/few_outputs.h"
#include "wholemount/ops/conv/inner/rows.h"

namespace wholemount {

namespace {

/// Packed weights of the source blocks that pass by while the sums rest in scratch.
constexpr int64_t kChunkBytes = int64_t{256} << 10;
/// Enough tasks for many threads to end at about the same time.
constexpr int64_t kWantedTasks = 64;
/// Multiply-add vectors a copied source vector should feed, so that copying stays cheap beside
/// them.
constexpr int64_t kMinReuse = 200;
/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;
/// Fewer bands of rows than this leave threads idle at the end; bands of fewer rows load more halo
/// than rows.
constexpr int64_t kWantedBands = 16;
constexpr int64_t kMinRows = 8;
/// A slab of fewer planes would load its halo too often.
constexpr int64_t kMinSlab = 8;
/// With few outputs a voxel costs little more than reading it, and a slab's first planes are not
/// asked for ahead of time.
constexpr int64_t kMinSlabOfFew = 32;

}  // namespace

int64_t CorrelationProblem::source_channels() const {
  return source_is_first_weight_axis ? weights.n : weights.c;
}
int64_t CorrelationProblem::destination_channels() const {
  return source_is_first_weight_axis ? weights.c : weights.n;
}
int64_t CorrelationProblem::source_weight_stride() const {
  const int64_t taps = volume(weights.extent);
  return source_is_first_weight_axis ? taps * weights.c : taps;
}
int64_t CorrelationProblem::destination_weight_stride() const {
  const int64_t taps = volume(weights.extent);
  return source_is_first_weight_axis ? taps : taps * weights.c;
}

int64_t CorrelationProblem::flops() const {
  const TensorDesc& coarse = adjoint ? sources.front() : destinations.front();
  int64_t channels = 0;
  for (const TensorDesc& desc : destinations) channels += desc.n > 0 ? desc.c : 0;
  const int64_t per_voxel = 2 * volume(weights.extent) * channels * source_channels();
  return checked_multiply(checked_multiply(coarse.n, volume(coarse.extent)), per_voxel);
}

int64_t CorrelationProblem::traffic_bytes() const {
  size_t bytes = weights.bytes();
  for (const TensorDesc& desc : sources) bytes += desc.bytes();
  for (const TensorDesc& desc : destinations) bytes += desc.n > 0 ? desc.bytes() : 0;
  if (rectified_input >= 0) bytes += destinations.front().bytes();
  return static_cast<int64_t>(bytes);
}

bool CorrelationProblem::is_blocked_source(int input) const {
  const int source = input - first_source;
  return source >= 0 && source < static_cast<int>(sources.size()) &&
         sources[static_cast<size_t>(source)].layout == Layout::blocked16;
}

std::string CorrelationKernel::refusal(const CorrelationProblem& problem) {
  const auto fits = [](const TensorDesc& desc) {
    return desc.n == 0 ||
           (desc.dtype == DType::f32 && (desc.layout == Layout::blocked16 || desc.c <= 4));
  };
  if (problem.weights.dtype != DType::f32 ||
      !std::all_of(problem.sources.begin(), problem.sources.end(), fits) ||
      !std::all_of(problem.destinations.begin(), problem.destinations.end(), fits)) {
    return "takes float32 tensors, blocked or of 1 to 4 plain channels";
  }
  return {};
}

CorrelationKernel::CorrelationKernel(CorrelationProblem problem, Isa isa, std::string reason)
    : problem_(std::move(problem)),
      isa_(isa),
      reason_(std::move(reason)),
      source_blocks_(channel_blocks(problem_.sources)),
      destination_blocks_(channel_blocks(problem_.destinations)) {
  for (const ChannelBlock& block : source_blocks_) source_lanes_.push_back(block.lanes);
  build_classes();
  build_groups(isa);
  choose_boxes();
  build_lines();
  size_scratch();
  if (problem_.moments_output >= 0) {
    moments_ = {problem_.moments_output, volume(boxes_), problem_.destination_channels(),
                shared_bytes_};
    shared_bytes_ = moments_.scratch_end();
  }
}

bool CorrelationKernel::takes_short_rows(int64_t columns) const {
  const auto is_plain = [](const ChannelBlock& block) { return block.plain; };
  return classes_.size() == 1 && WM_PICK_ISA(isa_, correlation_row_tile)(columns) > 0 &&
         std::none_of(source_blocks_.begin(), source_blocks_.end(), is_plain) &&
         std::none_of(destination_blocks_.begin(), destination_blocks_.end(), is_plain);
}

void CorrelationKernel::choose_boxes() {
  const CorrelationGeometry& g = problem_.geometry;
  int64_t voxel_bytes = 0;
  for (const ChannelBlock& block : source_blocks_) {
    voxel_bytes += block.scratch_pitch() * static_cast<int64_t>(sizeof(float));
  }
  const auto planes_fit = [&](int64_t planes, int64_t rows, int64_t columns) {
    const SourceRing ring(g, rows, columns, 0, planes);
    return ring.block_voxels() * voxel_bytes <= kRingBytes;
  };
  const auto fits = [&](int64_t rows, int64_t columns) { return planes_fit(1, rows, columns); };
  Band band = choose_band(g.h.count, g.w.count, fits);
  const int64_t bands = divide_up(g.h.count, band.rows) * divide_up(g.w.count, band.columns);
  const int64_t n = problem_.sources.front().n;
  const bool few = !groups_.empty() && groups_.front().few && SourceLines::can_be_in_place(g) &&
                   g.w.count >= kFewOutputsSlack;
  const int64_t slabs = std::clamp<int64_t>(divide_up(kWantedTasks, n * bands), 1,
                                            divide_up(g.d.count, few ? kMinSlabOfFew : kMinSlab));
  int64_t planes = divide_up(g.d.count, slabs);
  const auto num_groups = static_cast<int64_t>(groups_.size());
  // Flat images have no slabs to deal out, and few channels no groups.
  const int64_t tasks = n * bands * slabs * std::max<int64_t>(num_groups, 1);
  const int64_t cuts = std::clamp<int64_t>(divide_up(kWantedBands, tasks), 1,
                                           std::max<int64_t>(band.rows / kMinRows, 1));
  band.rows = divide_up(band.rows, cuts);
  if (band.columns == g.w.count && takes_short_rows(band.columns)) {
    tile_rows_ = WM_PICK_ISA(isa_, correlation_row_tile)(band.columns);
    while (planes > 1 && !planes_fit(planes, band.rows, band.columns)) --planes;
    planes = divide_up(g.d.count, divide_up(g.d.count, planes));
  }
  box_ = {planes, band.rows, band.columns};
  boxes_ = {divide_up(g.d.count, planes), divide_up(g.h.count, band.rows),
            divide_up(g.w.count, band.columns)};
  group_parts_ = std::clamp<int64_t>(divide_up(kWantedTasks, n * volume(boxes_)), 1,
                                     std::max<int64_t>(num_groups, 1));
  const int64_t reuse = 16 * volume(g.kernel) * (num_groups == 0 ? 1 : groups_.front().num_blocks);
  const int64_t source_per_destination = g.d.source_step * g.h.source_step * g.w.source_step;
  groups_per_part_ = std::max(
      {divide_up(num_groups, group_parts_),
       std::min(divide_up(kMinReuse * source_per_destination, reuse), num_groups), int64_t{1}});
  group_parts_ = std::max<int64_t>(divide_up(num_groups, groups_per_part_), 1);
}

int64_t CorrelationKernel::chunk_blocks(const Group& group, const Class& one) const {
  const int64_t bytes = static_cast<int64_t>(one.taps.size()) * 16 * group.lane_floats() *
                        static_cast<int64_t>(sizeof(float));
  return std::max<int64_t>(kChunkBytes / std::max<int64_t>(bytes, 1), 1);
}

void CorrelationKernel::size_scratch() {
  int64_t slack = 0;
  for (const Group& group : groups_) {
    if (group.few) slack = std::max(slack, kFewOutputsSlack);
    for (const Class& one : classes_) {
      slack = std::max(slack, tile_voxels(group, one));
    }
  }
  ring_ = SourceRing(problem_.geometry, box_.h, box_.w, slack, tile_rows_ > 0 ? box_.d : 1);
  const int64_t flat = (box_.h - 1) * ring_.columns() + box_.w;
  for (const Group& group : groups_) {
    bool one_chunk = true;
    for (const Class& one : classes_) {
      one_chunk =
          one_chunk && chunk_blocks(group, one) >= static_cast<int64_t>(source_blocks_.size());
    }
    for (const ChannelBlock& block : source_blocks_) {
      one_chunk = one_chunk && block.plain == source_blocks_.front().plain;
    }
    for (const Class& one : classes_) {
      const int64_t tile = tile_rows_ > 0 ? tile_rows_ * box_.w : tile_voxels(group, one);
      const int64_t voxels = tile_rows_ > 0 ? box_.d * box_.h * box_.w : flat;
      accumulator_floats_ =
          std::max(accumulator_floats_, (one_chunk ? tile : round_up(voxels, tile)) *
                                            std::max(group.num_blocks, group.halves) * 16);
    }
  }
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::string CorrelationKernel::name() const {
  return problem_.pass + "_direct_" + std::string(isa_name(isa_));
}

int64_t CorrelationKernel::num_tasks(int phase) const {
  if (phase == 0) return static_cast<int64_t>(groups_.size() * source_blocks_.size());
  if (phase == 2) return moments_.num_tasks();
  if (groups_.empty()) return 0;
  return problem_.sources.front().n * group_parts_ * volume(boxes_);
}

CorrelationKernel::Task CorrelationKernel::task_at(int64_t task) const {
  const CorrelationGeometry& g = problem_.geometry;
  Task result;
  result.piece = task % volume(boxes_);
  const int64_t w = task % boxes_.w;
  task /= boxes_.w;
  const int64_t h = task % boxes_.h;
  task /= boxes_.h;
  const int64_t d = task % boxes_.d;
  task /= boxes_.d;
  const int64_t part = task % group_parts_;
  result.n = task / group_parts_;
  result.first_group = static_cast<size_t>(part * groups_per_part_);
  result.last_group =
      std::min(result.first_group + static_cast<size_t>(groups_per_part_), groups_.size());
  result.box = clip({{d * box_.d, h * box_.h, w * box_.w},
                     {(d + 1) * box_.d, (h + 1) * box_.h, (w + 1) * box_.w}},
                    {g.d.count, g.h.count, g.w.count});
  return result;
}

Box3 CorrelationKernel::input_box(int phase, int64_t task, int input) const {
  if (input == problem_.weights_input) {
    return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase != 1) return {};
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  if (input == problem_.rectified_input) return output_box(phase, task, 0);
  return problem_.geometry.source_box(task_at(task).box);
}

Box3 CorrelationKernel::output_box(int phase, int64_t task, int output) const {
  if (output == problem_.moments_output) return phase == 2 ? moments_.output_box(task) : Box3{};
  if (phase != 1 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
  return problem_.geometry.destination_box(task_at(task).box);
}

template <class Body>
void CorrelationKernel::for_each_moments(const Task& task, const KernelArgs& args,
                                         const Body& body) const {
  if (!moments_.wanted(args)) return;
  const Group& last = groups_[task.last_group - 1];
  const size_t end = last.first_block + static_cast<size_t>(last.num_blocks);
  for (size_t i = groups_[task.first_group].first_block; i < end; ++i) {
    const int64_t block = destination_blocks_[i].block;
    body(block, moments_.piece(task.piece, block, args));
  }
}

void CorrelationKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    pack_weights(task, args);
  } else if (phase == 1) {
    const Task one = task_at(task);
    for_each_moments(one, args, [](int64_t /*block*/, LaneMoments& moments) { moments = {}; });
    correlate_box(one, args);
    if (problem_.rectified_input >= 0) rectify_box(one, args);
    if (tile_rows_ > 0) {
      const Box3 box = problem_.geometry.destination_box(one.box);
      for_each_moments(one, args, [&](int64_t block, LaneMoments& moments) {
        OutputMoments::sum_box(args.outputs[0].view, block, box, isa_, moments);
      });
    }
  } else {
    moments_.fold(task, args);
  }
}

void CorrelationKernel::rectify_box(const Task& task, const KernelArgs& args) const {
  const TensorView& out = args.outputs[0].view;
  const TensorView& x = args.inputs[static_cast<size_t>(problem_.rectified_input)].view;
  const auto rectify = WM_PICK_ISA(isa_, rectify_row);
  const Box3 box = problem_.geometry.destination_box(task.box);
  const Group& last = groups_[task.last_group - 1];
  const size_t end = last.first_block + static_cast<size_t>(last.num_blocks);
  for (size_t i = groups_[task.first_group].first_block; i < end; ++i) {
    const int64_t block = destination_blocks_[i].block;
    for (int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (int64_t h = box.begin.h; h < box.end.h; ++h) {
        rectify({x.address(task.n, block, d, h, box.begin.w), x.is_bfloat16(),
                 out.at<float>(task.n, block, d, h, box.begin.w), box.end.w - box.begin.w,
                 problem_.rectified_slope});
      }
    }
  }
}

void CorrelationKernel::pack_weights(int64_t task, const KernelArgs& args) const {
  const auto num_sources = static_cast<int64_t>(source_blocks_.size());
  const Group& group = groups_[static_cast<size_t>(task / num_sources)];
  const ChannelBlock& source = source_blocks_[static_cast<size_t>(task % num_sources)];
  if (group.few) {
    pack_few_weights(group, source, task % num_sources, args);
    return;
  }
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  const int64_t source_stride = problem_.source_weight_stride();
  const int64_t destination_stride = problem_.destination_weight_stride();
  const int64_t lane_floats = group.lane_floats();
  float* packed = reinterpret_cast<float*>(args.shared_scratch) + group.weights_offset;
  const auto gather = WM_PICK_ISA(isa_, gather_columns);
  const int64_t kernel_taps = volume(problem_.geometry.kernel);
  float* columns = Scratch(*this, args.thread_scratch).columns;
  for (int32_t b = 0; b < group.num_blocks; ++b) {
    const ChannelBlock& destination =
        destination_blocks_[group.first_block + static_cast<size_t>(b)];
    for (int64_t lane = 0; lane < source.lanes; ++lane) {
      gather({weights + (source.channel + lane) * source_stride +
                  destination.channel * destination_stride,
              destination_stride, destination.lanes, kernel_taps, columns, 16});
      for (const Class& one : classes_) {
        const auto taps = static_cast<int64_t>(one.taps.size());
        float* out = packed + lane_floats * (problem_.source_channels() * one.taps_before +
                                             source.channel * taps);
        for (int64_t t = 0; t < taps; ++t) {
          const float* from = columns + one.taps[static_cast<size_t>(t)].index * 16;
          if (group.halves > 0) {
            float* pair = out + (t * source.lanes + lane / 2 * 2) * lane_floats + b * 32 + lane % 2;
            for (int64_t c = 0; c < std::min<int64_t>(16, group.halves * 8 - b * 16); ++c) {
              pair[2 * c] = from[c];
            }
          } else {
            std::copy_n(from, 16, out + (t * source.lanes + lane) * lane_floats + b * 16);
          }
        }
      }
    }
  }
}

void CorrelationKernel::correlate_box(const Task& task, const KernelArgs& args) const {
  const Scratch scratch(*this, args.thread_scratch);
  SourceRing::Load load;
  load.geometry = &problem_.geometry;
  load.blocks = source_blocks_;
  load.tensors = args.inputs.subspan(static_cast<size_t>(problem_.first_source));
  load.block_scratch = scratch.ring;
  load.n = task.n;
  load.box = task.box;
  load.source = problem_.geometry.source_box(task.box);
  int64_t loaded = task.box.begin.d * problem_.geometry.d.source_step;
  const bool in_place = reads_in_place(task, args);
  if (in_place) std::fill_n(scratch.zeros, lines_.zero_floats(), 0.0F);
  const int64_t planes_at_a_time = tile_rows_ > 0 ? box_.d : 1;
  const int64_t steps = steps_of_plane(task);
  // Where the source is no larger than the destination copying is too little to be worth a step.
  const CorrelationGeometry& g = problem_.geometry;
  const bool reads_much =
      g.d.source_step * g.h.source_step * g.w.source_step > 1 || groups_[task.first_group].few;
  for (int64_t jd = task.box.begin.d; jd < task.box.end.d; jd += planes_at_a_time) {
    if (in_place) {
      loaded = jd * g.d.source_step + g.d.span(1);
      lines_.find_in_place(load, jd, scratch.zeros, scratch.lines);
    } else {
      ring_.load_planes(load, isa_, jd, loaded);
      lines_.find_in_ring(ring_, load, jd, scratch.lines);
    }
    LinesAhead ahead{scratch.ahead, 0};
    if (planes_at_a_time == 1 && reads_much) {
      ahead.in_turns = groups_[task.first_group].few;
      ahead.num_ranges = ring_.lines_ahead(load, jd, loaded, ahead.in_turns, scratch.ahead);
      int64_t lines = 0;
      for (int64_t i = 0; i < ahead.num_ranges; ++i) lines += scratch.ahead[i].lines;
      ahead.per_step = divide_up(lines, steps);
    }
    for (const Class& one : classes_) {
      if (jd >= one.count.d || task.box.begin.h >= one.count.h || task.box.begin.w >= one.count.w) {
        continue;
      }
      for (size_t t = 0; !in_place && t < one.taps.size(); ++t) {
        scratch.tap_offsets[t] = ring_.tap_offset(problem_.geometry, jd - task.box.begin.d,
                                                  one.taps[t].od, one.taps[t].oh, one.taps[t].ow);
      }
      for (size_t group = task.first_group; group < task.last_group; ++group) {
        if (groups_[group].few) {
          correlate_few(task, groups_[group], one, jd, scratch, &ahead, args);
        } else {
          correlate_group(task, groups_[group], one, jd, scratch, &ahead, args);
        }
      }
    }
  }
}

int64_t CorrelationKernel::steps_of_plane(const Task& task) const {
  const Extent3 size = task.box.extent();
  int64_t steps = 1;
  for (const Class& one : classes_) {
    for (size_t group = task.first_group; group < task.last_group; ++group) {
      if (groups_[group].few) {
        const size_t blocks = lines_.size() > 0 ? source_blocks_.size() : 1;
        steps += size.h * divide_up(size.w, 16) * static_cast<int64_t>(blocks);
        continue;
      }
      const int64_t tile = tile_voxels(groups_[group], one);
      steps += divide_up(size.h * ring_.columns(), tile) *
               static_cast<int64_t>(source_blocks_.size() * one.taps.size());
    }
  }
  return steps;
}

void CorrelationKernel::correlate_group(const Task& task, const Group& group, const Class& one,
                                        int64_t jd, const Scratch& scratch, LinesAhead* ahead,
                                        const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const auto num_taps = static_cast<int64_t>(one.taps.size());
  const int64_t lane_floats = group.lane_floats();
  CorrelationPlane plane{};
  plane.chunks = scratch.chunks;
  plane.tap_offsets = scratch.tap_offsets;
  plane.num_taps = static_cast<int32_t>(num_taps);
  plane.tap_run = one.tap_run;
  plane.bias = scratch.bias;
  plane.num_destinations = group.num_blocks;
  plane.halves = group.halves;
  plane.row_pitch = ring_.columns();
  plane.rows = std::min(task.box.end.h, one.count.h) - task.box.begin.h;
  plane.columns = std::min(task.box.end.w, one.count.w) - task.box.begin.w;
  plane.accumulators = scratch.sums;
  plane.ahead = ahead->num_ranges > 0 ? ahead : nullptr;
  plane.planes = tile_rows_ > 0 ? task.box.end.d - jd : 1;
  plane.plane_pitch = ring_.plane_voxels() * g.d.source_step;

  bool wanted = false;
  const float* bias =
      problem_.bias_input < 0
          ? nullptr
          : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  std::fill_n(scratch.bias, kBiasFloats, 0.0F);
  for (int32_t b = 0; b < group.num_blocks; ++b) {
    const ChannelBlock& block = destination_blocks_[group.first_block + static_cast<size_t>(b)];
    const int64_t step = group.halves > 0 ? 2 : 1;
    for (int64_t c = 0; bias != nullptr && c < block.lanes; ++c) {
      scratch.bias[(b * 16 + c) * step] = bias[block.channel + c];
    }
    const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
    CorrelationDestination& destination = plane.destinations[b];
    if (view.origin == nullptr) continue;
    wanted = true;
    destination.origin = view.at<float>(task.n, block.plain ? 0 : block.block,
                                        one.start.d + jd * g.d.destination_step,
                                        one.start.h + task.box.begin.h * g.h.destination_step,
                                        one.start.w + task.box.begin.w * g.w.destination_step);
    destination.plane_pitch = view.plane_pitch * g.d.destination_step;
    destination.row_pitch = view.row_pitch * g.h.destination_step;
    destination.voxel_step = g.w.destination_step * (block.plain ? 1 : 16);
    destination.channel_pitch = view.block_pitch;
    destination.channels = block.lanes;
    destination.plain = block.plain;
    if (tile_rows_ == 0 && moments_.wanted(args)) {
      destination.moments = &moments_.piece(task.piece, block.block, args);
    }
    destination.stream = !block.plain && problem_.rectified_input < 0 &&
                         static_cast<int64_t>(view.desc.bytes()) >= kStreamBytes &&
                         reinterpret_cast<uintptr_t>(destination.origin) % 64 == 0;
  }
  if (!wanted) return;

  const float* weights = reinterpret_cast<const float*>(args.shared_scratch) +
                         group.weights_offset +
                         lane_floats * problem_.source_channels() * one.taps_before;
  const auto num_blocks = static_cast<int64_t>(source_blocks_.size());
  const int64_t most = chunk_blocks(group, one);
  for (int64_t first = 0; first < num_blocks;) {
    const ChannelBlock& block = source_blocks_[static_cast<size_t>(first)];
    int64_t last = first + 1;
    while (last < num_blocks && last - first < most &&
           source_blocks_[static_cast<size_t>(last)].plain == block.plain) {
      ++last;
    }
    CorrelationChunk& chunk = scratch.chunks[plane.num_chunks++];
    chunk.source = scratch.ring[first];
    chunk.block_pitch = last - first > 1 ? scratch.ring[first + 1] - scratch.ring[first] : 0;
    chunk.num_blocks = static_cast<int32_t>(last - first);
    chunk.pitch = static_cast<int32_t>(block.scratch_pitch());
    chunk.lanes = source_lanes_.data() + first;
    chunk.weights = weights + lane_floats * num_taps * block.channel;
    first = last;
  }
  const auto correlate =
      tile_rows_ > 0 ? WM_PICK_ISA(isa_, correlate_rows) : WM_PICK_ISA(isa_, correlate_plane);
  correlate(plane);
}

}  // namespace wholemount
