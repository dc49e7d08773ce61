#include "wholemount/ops/conv/gemm_weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/weight_gradient_run.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

constexpr int64_t kWantedTasks = 64;
/// Blocks of a panel: every panel packs its operands anew, which is cheap when each packed vector
/// meets some 64 multiply-adds, and the panel's sums should stay in L2.
constexpr int64_t kCoarsePanelBlocks = 4;
constexpr int64_t kMinReuse = 128;
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
    coarse = cursor.take<float>(kernel.coarse_per_panel_ * block);
    fine = cursor.take<float>(checked_multiply(kernel.fine_per_panel_ * kernel.num_taps_, block));
  }
  ScratchCursor cursor;
  int64_t* tap_offsets;
  float* coarse;  ///< [block][voxel][16]
  float* fine;    ///< [block][tap][voxel][16]
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
  const int64_t part = checked_multiply(checked_multiply(planes_per_part_, rows_per_part_),
                                        problem_.geometry.w.count);
  chunk_voxels_ = std::min(kChunkVoxels, part);
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::string GemmWeightGradientKernel::name() const {
  return problem_.pass + "_gemm_" + std::string(isa_name(isa_));
}

void GemmWeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  clear_weights(task, args);
  clear_bias(task, args);
  const Scratch scratch(*this, args.thread_scratch);
  for (int64_t tap = 0; tap < num_taps_; ++tap) scratch.tap_offsets[tap] = tap * chunk_voxels_;
  for (int64_t n = 0; n < problem_.coarse.n; ++n) {
    for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
      const CoarseRows rows{{{d, task.box.begin.h, 0}, {d + 1, task.box.end.h, task.box.end.w}}};
      const int64_t voxels = rows.voxels();
      const int64_t chunk = divide_up(voxels, divide_up(voxels, chunk_voxels_));
      for (int64_t first = 0; first < voxels; first += chunk) {
        sum_chunk(task, n, rows, first, std::min(first + chunk, voxels), scratch, args);
      }
      sum_bias(task, n, rows.box, d, args);
    }
  }
}

void GemmWeightGradientKernel::sum_chunk(const Task& task, int64_t n, const CoarseRows& rows,
                                         int64_t first, int64_t last, const Scratch& scratch,
                                         const KernelArgs& args) const {
  const int64_t block_floats = chunk_voxels_ * 16;
  const InputView& coarse_input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    pack_patch_voxels(
        {&coarse_input, coarse_blocks_[index], n, {1, 1, 1}, {0, 0, 0}}, rows, first, last, isa_,
        scratch.coarse + static_cast<int64_t>(index - task.first_coarse) * block_floats);
  }
  const auto add_run = WM_PICK_ISA(isa_, add_weight_gradient_run);
  const auto pair = static_cast<size_t>(WM_PICK_ISA(isa_, weight_gradient_max_coarse)());
  const Extent3& k = problem_.conv.kernel;
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    const ChannelBlock& block = fine_blocks_[fine];
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)];
    float* packed =
        scratch.fine + static_cast<int64_t>(fine - task.first_fine) * num_taps_ * block_floats;
    for (int64_t tap = 0; tap < num_taps_; ++tap) {
      const Extent3 offset{tap / (k.h * k.w), tap / k.w % k.h, tap % k.w};
      pack_patch_voxels({&input, block, n, problem_.conv.stride, offset}, rows, first, last, isa_,
                        packed + tap * block_floats);
    }
    WeightGradientRun run{};
    run.pitch = 16;
    run.fine = packed;
    run.lanes = block.lanes;
    run.tap_offsets = scratch.tap_offsets;
    run.num_taps = static_cast<int32_t>(num_taps_);
    run.length = last - first;
    for (size_t coarse = task.first_coarse; coarse < task.last_coarse; coarse += pair) {
      run.num_coarse = static_cast<int32_t>(std::min(pair, task.last_coarse - coarse));
      for (int32_t i = 0; i < run.num_coarse; ++i) {
        const size_t index = coarse + static_cast<size_t>(i);
        run.coarse[i] =
            scratch.coarse + static_cast<int64_t>(index - task.first_coarse) * block_floats;
        run.sums[i] = partial(args, task.part, index, fine);
      }
      add_run(run);
    }
  }
}

}  // namespace wholemount
