#include "wholemount/ops/conv/gemm_weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/scratch_cursor.h"
#include "wholemount/ops/conv/source_ring.h"

namespace wholemount {

namespace {

constexpr int64_t kWantedTasks = 64;
/// Blocks of a panel: every panel packs its operands anew, which is cheap when each packed vector
/// meets some 64 multiply-adds, and the panel's sums should stay in L2.
constexpr int64_t kCoarsePanelBlocks = 4;
constexpr int64_t kMinReuse = 128;
/// Rows of at least this many voxels are summed where they lie, without packing them first.
constexpr int64_t kMinRowVoxels = 12;
/// Smaller parts would sum too little before their sums are cleared, written and joined.
constexpr int64_t kMinPartVoxels = 896;

}  // namespace

std::string GemmWeightGradientKernel::refusal(const WeightGradientProblem& problem) {
  const auto blocked = [](const TensorDesc& desc) {
    return desc.dtype == DType::f32 && desc.layout == Layout::blocked16;
  };
  if (problem.weights.dtype != DType::f32 || !blocked(problem.coarse) ||
      !std::all_of(problem.fine.begin(), problem.fine.end(), blocked)) {
    return "takes float32 tensors of more than 4 channels";
  }
  return patch_geometry_refusal(problem.conv, problem.coarse.extent, problem.fine.front().extent);
}

struct GemmWeightGradientKernel::Scratch {
  Scratch(const GemmWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t block = kernel.chunk_voxels_ * 16;
    tap_offsets = cursor.take<int64_t>(kernel.num_taps_);
    ahead = cursor.take<LineRange>(kernel.coarse_per_panel_ +
                                   kernel.num_taps_ * kernel.fine_per_panel_);
    coarse = cursor.take<float>(kernel.coarse_per_panel_ * block);
    fine = cursor.take<float>(checked_multiply(kernel.num_taps_, block));
  }
  ScratchCursor cursor;
  int64_t* tap_offsets;
  LineRange* ahead;
  float* coarse;  ///< [block][voxel][16]
  float* fine;    ///< [tap][voxel][16]
};

GemmWeightGradientKernel::GemmWeightGradientKernel(WeightGradientProblem problem, Isa isa,
                                                   std::string reason)
    : WeightGradientKernel(std::move(problem), isa, std::move(reason)) {
  const auto panel = [](size_t blocks, int64_t most) {
    return divide_up(static_cast<int64_t>(blocks), divide_up(static_cast<int64_t>(blocks), most));
  };
  const CorrelationGeometry& g = problem_.geometry;
  const int64_t rows = divide_up(kMinPartVoxels, g.w.count);
  cut(panel(coarse_blocks_.size(), kCoarsePanelBlocks),
      panel(fine_blocks_.size(), divide_up(kMinReuse, 16 * num_taps_)), kWantedTasks, {1, 1, 1},
      {divide_up(rows, g.h.count), rows, 1});
  const int64_t part =
      checked_multiply(checked_multiply(planes_per_part_, rows_per_part_), g.w.count);
  chunk_voxels_ = std::min(kChunkVoxels, part);
  rows_in_place_ = problem_.conv.stride.w == 2 && g.w.count >= kMinRowVoxels;
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::string GemmWeightGradientKernel::name() const {
  return problem_.pass + "_gemm_" + std::string(isa_name(isa_));
}

void GemmWeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  clear_weights(task, args);
  clear_bias(task, args);
  const Scratch scratch(*this, args.thread_scratch);
  const auto fine_inputs =
      args.inputs.subspan(static_cast<size_t>(problem_.first_fine), problem_.fine.size());
  const bool in_place =
      rows_in_place_ && std::all_of(fine_inputs.begin(), fine_inputs.end(),
                                    [](const InputView& x) { return x.transform.identity(); });
  for (int64_t n = 0; n < problem_.coarse.n; ++n) {
    for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
      const CoarseRows rows{{{d, task.box.begin.h, 0}, {d + 1, task.box.end.h, task.box.end.w}}};
      // Rows where they lie are taken by whole rows, or cut at their ends; packed voxels anywhere.
      const int64_t width = problem_.geometry.w.count;
      const int64_t unit =
          in_place ? width * std::max<int64_t>(chunk_voxels_ / width, 1) : rows.voxels();
      const int64_t chunk = divide_up(unit, divide_up(unit, chunk_voxels_));
      for (int64_t begin = 0; begin < rows.voxels(); begin += unit) {
        const int64_t end = std::min(begin + unit, rows.voxels());
        for (int64_t first = begin; first < end; first += chunk) {
          sum_chunk(task, n, {rows, first, std::min(first + chunk, end), in_place}, scratch, args);
        }
        // While the rows, or what was packed, are still near.
        Box3 box = rows.box;
        if (in_place) {
          box.begin.h += begin / width;
          box.end.h = rows.box.begin.h + end / width;
        }
        sum_bias(task, n, box, d, args);
      }
    }
  }
}

void GemmWeightGradientKernel::sum_chunk(const Task& task, int64_t n, const Chunk& chunk,
                                         const Scratch& scratch, const KernelArgs& args) const {
  const int64_t block_floats = chunk_voxels_ * 16;
  const InputView& coarse_input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    pack_patch_voxels(
        {&coarse_input, coarse_blocks_[index], n, {1, 1, 1}, {0, 0, 0}}, chunk.rows, chunk.first,
        chunk.last, isa_,
        scratch.coarse + static_cast<int64_t>(index - task.first_coarse) * block_floats);
  }
  const auto add_run = WM_PICK_ISA(isa_, add_weight_gradient_run);
  const auto pair = static_cast<size_t>(WM_PICK_ISA(isa_, weight_gradient_max_coarse)());
  LinesAhead ahead = lines_ahead(task, n, chunk, scratch, args);
  int64_t lines = 0;
  for (int64_t i = 0; i < ahead.num_ranges; ++i) lines += scratch.ahead[i].lines;
  ahead.per_step =
      divide_up(lines, static_cast<int64_t>((task.last_fine - task.first_fine) *
                                            divide_up(task.last_coarse - task.first_coarse, pair)));
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    WeightGradientRun run{};
    run.lanes = fine_blocks_[fine].lanes;
    run.tap_offsets = scratch.tap_offsets;
    run.num_taps = static_cast<int32_t>(num_taps_);
    run.length = chunk.last - chunk.first;
    if (chunk.in_place) {
      point_to_row(fine_blocks_[fine], n, chunk, scratch, args, run);
    } else {
      pack_fine(fine_blocks_[fine], n, chunk, scratch, args, run);
    }
    for (size_t coarse = task.first_coarse; coarse < task.last_coarse; coarse += pair) {
      run.num_coarse = static_cast<int32_t>(std::min(pair, task.last_coarse - coarse));
      for (int32_t i = 0; i < run.num_coarse; ++i) {
        const size_t index = coarse + static_cast<size_t>(i);
        run.coarse[i] =
            scratch.coarse + static_cast<int64_t>(index - task.first_coarse) * block_floats;
        run.sums[i] = partial(args, task.part, index, fine);
      }
      run.ahead = ahead.next();
      add_run(run);
    }
  }
}

LinesAhead GemmWeightGradientKernel::lines_ahead(const Task& task, int64_t n, const Chunk& chunk,
                                                 const Scratch& scratch,
                                                 const KernelArgs& args) const {
  LinesAhead ahead{scratch.ahead};
  const int64_t width = problem_.geometry.w.count;
  const int64_t next = chunk.last;
  int64_t end = std::min(next + chunk.last - chunk.first, chunk.rows.voxels());
  if (!chunk.in_place || next >= end) return ahead;
  // Chunks are whole rows, whose fine rows lie side by side, or part of one.
  const bool whole_rows = next % width == 0 && (end - next) % width == 0;
  if (!whole_rows) end = std::min(end, (next / width + 1) * width);
  const Box3& box = chunk.rows.box;
  const Extent3& k = problem_.conv.kernel;
  const int64_t h = box.begin.h + next / width;
  const int64_t w = next % width;
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    const ChannelBlock& block = fine_blocks_[fine];
    const TensorView& view =
        args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)].view;
    for (int64_t kd = 0; kd < k.d; ++kd) {
      for (int64_t kh = 0; kh < (whole_rows ? 1 : k.h); ++kh) {
        scratch.ahead[ahead.num_ranges++] = {
            view.at<float>(n, block.block, box.begin.d * k.d + kd, h * k.h + kh, w * k.w),
            (end - next) * k.w * (whole_rows ? k.h : 1)};
      }
    }
  }
  const TensorView& coarse = args.inputs[static_cast<size_t>(problem_.coarse_input)].view;
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    scratch.ahead[ahead.num_ranges++] =
        lines_of_voxels(coarse, n, coarse_blocks_[index].block, box.begin.d, h, w, end - next);
  }
  return ahead;
}

void GemmWeightGradientKernel::pack_fine(const ChannelBlock& block, int64_t n, const Chunk& chunk,
                                         const Scratch& scratch, const KernelArgs& args,
                                         WeightGradientRun& run) const {
  const InputView& input = args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)];
  const Extent3& k = problem_.conv.kernel;
  for (int64_t tap = 0; tap < num_taps_; ++tap) {
    const Extent3 offset{tap / (k.h * k.w), tap / k.w % k.h, tap % k.w};
    pack_patch_voxels({&input, block, n, problem_.conv.stride, offset}, chunk.rows, chunk.first,
                      chunk.last, isa_, scratch.fine + tap * chunk_voxels_ * 16);
    scratch.tap_offsets[tap] = tap * chunk_voxels_;
  }
  run.pitch = 16;
  run.fine = scratch.fine;
}

void GemmWeightGradientKernel::point_to_row(const ChannelBlock& block, int64_t n,
                                            const Chunk& chunk, const Scratch& scratch,
                                            const KernelArgs& args, WeightGradientRun& run) const {
  const TensorView& view =
      args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)].view;
  const Extent3& k = problem_.conv.kernel;
  for (int64_t tap = 0; tap < num_taps_; ++tap) {
    scratch.tap_offsets[tap] =
        (tap / (k.h * k.w) * view.plane_pitch + tap / k.w % k.h * view.row_pitch) / 16 + tap % k.w;
  }
  const Box3& box = chunk.rows.box;
  const int64_t width = problem_.geometry.w.count;
  const int64_t h = box.begin.h + chunk.first / width;
  const int64_t voxels = chunk.last - chunk.first;
  if (voxels > width) {
    run.rows = voxels / width;
    run.length = width;
    run.fine_row_pitch = k.h * view.row_pitch;
    run.coarse_row_pitch = width * 16;
  }
  run.pitch = 32;
  run.fine = view.at<float>(n, block.block, box.begin.d * k.d, h * k.h, chunk.first % width * k.w);
}

}  // namespace wholemount
