#include "wholemount/ops/conv/direct_weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/few_coarse.h"
#include "wholemount/ops/conv/inner/rows.h"
#include "wholemount/ops/conv/inner/weight_gradient_halves.h"
#include "wholemount/ops/conv/inner/weight_gradient_run.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

constexpr int64_t kMinPanelBlocks = 2;
constexpr int64_t kMaxPanelBlocks = 8;
/// Multiply-add vectors a copied vector should feed, so that copying stays cheap beside them.
constexpr int64_t kMinReuse = 200;
constexpr int64_t kWantedTasks = 64;
/// Smaller parts would load their halo too often.
constexpr int64_t kMinPlanes = 8;
/// Few coarse channels: also, a part's first planes are not asked for ahead of time.
constexpr int64_t kMinPlanesOfFew = 48;
constexpr int64_t kMinRows = 8;
/// Voxels summed in registers before the sums go to memory; a run's rows of both operands stay in
/// the first-level cache for all taps of a row.
constexpr int64_t kRunVoxels = 256;
/// Few coarse channels: rows and voxels summed in one go, so that the fine rows of nine taps stay
/// in the first-level cache.
constexpr int64_t kStripRows = 8;
constexpr int64_t kStripVoxels = 48;
constexpr int32_t kHalfBlock = 8;

/// Blocks of the other operand a vector must meet when it meets `per_block` multiply-adds in each.
int64_t panel_blocks(int64_t per_block, size_t blocks) {
  const int64_t wanted = divide_up(kMinReuse, std::max<int64_t>(per_block, 1));
  return std::min(std::clamp(wanted, kMinPanelBlocks, kMaxPanelBlocks),
                  static_cast<int64_t>(blocks));
}

}  // namespace

std::string DirectWeightGradientKernel::refusal(const WeightGradientProblem& problem) {
  const auto fits = [](const TensorDesc& desc) {
    return desc.dtype == DType::f32 && (desc.layout == Layout::blocked16 || desc.c <= 4);
  };
  if (problem.weights.dtype != DType::f32 || !fits(problem.coarse) ||
      !std::all_of(problem.fine.begin(), problem.fine.end(), fits)) {
    return "takes float32 tensors, blocked or of 1 to 4 plain channels";
  }
  return {};
}

struct DirectWeightGradientKernel::Scratch {
  Scratch(const DirectWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
    ring = cursor.take<float*>(kernel.fine_per_panel_);
    const int64_t coarse_arrays = kernel.coarse_per_panel_ * (kernel.takes_halves_ ? 2 : 1);
    coarse = cursor.take<float*>(coarse_arrays);
    tap_offsets = cursor.take<int64_t>(kernel.num_taps_);
    ahead = cursor.take<LineRange>(
        kernel.ring_.max_ranges_ahead(static_cast<size_t>(kernel.fine_per_panel_)) +
        kernel.coarse_per_panel_);
    for (int64_t i = 0; i < kernel.fine_per_panel_; ++i) {
      float* block = cursor.take<float>(kernel.ring_.block_voxels() * 16);
      if (base != nullptr) ring[i] = block;
    }
    for (int64_t i = 0; i < coarse_arrays; ++i) {
      float* block = cursor.take<float>(kernel.band_.rows * kernel.ring_.columns() * 16);
      if (base != nullptr) coarse[i] = block;
    }
    lines = cursor.take<const float*>(kernel.lines_.size());
    zeros = cursor.take<float>(kernel.lines_.zero_floats());
  }
  ScratchCursor cursor;
  float** ring;
  float** coarse;  ///< of each block; by halves two of each, low and high channels
  int64_t* tap_offsets;
  LineRange* ahead;
  const float** lines;  ///< SourceLines
  float* zeros;         ///< a row of zeros, for fine rows read in place
};

DirectWeightGradientKernel::DirectWeightGradientKernel(WeightGradientProblem problem, Isa isa,
                                                       std::string reason)
    : WeightGradientKernel(std::move(problem), isa, std::move(reason)) {
  blocked_to_few_ = problem_.coarse.layout == Layout::plain &&
                    std::none_of(fine_blocks_.begin(), fine_blocks_.end(),
                                 [](const ChannelBlock& block) { return block.plain; });
  const CorrelationGeometry& g = problem_.geometry;
  // With few sums a voxel costs little more than reading it, so halos weigh more.
  const int64_t halo = blocked_to_few_ ? 2 : 1;
  cut(panel_blocks(16 * num_taps_ / (g.d.source_step * g.h.source_step * g.w.source_step),
                   coarse_blocks_.size()),
      panel_blocks(16 * num_taps_, fine_blocks_.size()), kWantedTasks / halo, {1, 1, 1},
      {blocked_to_few_ ? kMinPlanesOfFew : kMinPlanes, halo * kMinRows, 1});
  takes_halves_ = WM_PICK_ISA(isa_, weight_gradient_takes_halves)() &&
                  problem_.coarse.layout == Layout::blocked16 &&
                  coarse_blocks_.back().lanes <= kHalfBlock &&
                  std::none_of(fine_blocks_.begin(), fine_blocks_.end(),
                               [](const ChannelBlock& block) { return block.plain; });
  const auto fits = [&](int64_t rows, int64_t columns) {
    const SourceRing ring(g, rows, columns, 0);
    const int64_t vectors = ring.block_voxels() * fine_per_panel_ +
                            rows * ring.columns() * coarse_per_panel_ * (takes_halves_ ? 2 : 1);
    return vectors * static_cast<int64_t>(16 * sizeof(float)) <= kRowsBytes;
  };
  band_ = choose_band(rows_per_part_, g.w.count, fits);
  ring_ = SourceRing(g, band_.rows, band_.columns, 0);
  plain_to_blocked_ = problem_.coarse.layout == Layout::blocked16 &&
                      std::all_of(fine_blocks_.begin(), fine_blocks_.end(),
                                  [](const ChannelBlock& block) { return block.plain; });
  build_lines();
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

void DirectWeightGradientKernel::build_lines() {
  const CorrelationGeometry& g = problem_.geometry;
  const std::vector<AxisTap>& along_w = g.w.classes.front().taps;
  if (!blocked_to_few_ || !WM_PICK_ISA(isa_, few_coarse_takes_lines)() || num_taps_ % 9 != 0 ||
      along_w.size() != 3 || g.w.max_offset != g.w.min_offset + 2 || g.w.source_step != 1) {
    return;
  }
  lines_ = SourceLines(g, band_.rows, band_.columns, static_cast<size_t>(fine_per_panel_));
  in_place_ = SourceLines::can_be_in_place(g);
  for (const AxisTap& d : g.d.classes.front().taps) {
    for (const AxisTap& h : g.h.classes.front().taps) {
      run_lines_.push_back(lines_.line(g, d.offset, h.offset));
    }
  }
}

bool DirectWeightGradientKernel::reads_in_place(const KernelArgs& args) const {
  const auto tensors =
      args.inputs.subspan(static_cast<size_t>(problem_.first_fine), problem_.fine.size());
  return in_place_ && std::all_of(tensors.begin(), tensors.end(), [](const InputView& input) {
           return input.transform.identity();
         });
}

std::string DirectWeightGradientKernel::name() const {
  return problem_.pass + "_direct_" + std::string(isa_name(isa_));
}

void DirectWeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  clear_weights(task, args);
  clear_bias(task, args);
  const Scratch scratch(*this, args.thread_scratch);
  for (int64_t n = 0; n < problem_.coarse.n; ++n) {
    for (int64_t h = task.box.begin.h; h < task.box.end.h; h += band_.rows) {
      for (int64_t w = task.box.begin.w; w < task.box.end.w; w += band_.columns) {
        const Box3 band{{task.box.begin.d, h, w},
                        {task.box.end.d, std::min(h + band_.rows, task.box.end.h),
                         std::min(w + band_.columns, task.box.end.w)}};
        sum_band(task, n, band, scratch, args);
      }
    }
  }
  if (blocked_to_few_) turn_few_sums(task, args);
}

void DirectWeightGradientKernel::sum_band(const Task& task, int64_t n, const Box3& band,
                                          const Scratch& scratch, const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  SourceRing::Load load;
  load.geometry = &g;
  load.blocks = {fine_blocks_.data() + task.first_fine, task.last_fine - task.first_fine};
  load.tensors = args.inputs.subspan(static_cast<size_t>(problem_.first_fine));
  load.block_scratch = scratch.ring;
  load.n = n;
  load.box = band;
  load.source = g.source_box(band);
  const int64_t flat =
      (band.end.h - band.begin.h - 1) * ring_.columns() + band.end.w - band.begin.w;
  const int64_t run_voxels = divide_up(flat, divide_up(flat, kRunVoxels));
  int64_t runs_of_plane = 0;
  for (size_t coarse = task.first_coarse; coarse < task.last_coarse;) {
    coarse += coarse_group(coarse, task.last_coarse).count;
    runs_of_plane +=
        divide_up(flat, run_voxels) * static_cast<int64_t>(task.last_fine - task.first_fine);
  }
  const InputView& coarse_input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  const bool coarse_in_place = lines_.size() > 0 && coarse_input.transform.identity();
  const bool rows_in_place = plain_to_blocked_ && coarse_input.transform.identity();
  const bool in_place = reads_in_place(args);
  if (in_place) std::fill_n(scratch.zeros, lines_.zero_floats(), 0.0F);
  int64_t loaded = band.begin.d * g.d.source_step;
  for (int64_t jd = band.begin.d; jd < band.end.d; ++jd) {
    if (in_place) {
      loaded = jd * g.d.source_step + g.d.span(1);
      lines_.find_in_place(load, jd, scratch.zeros, scratch.lines);
    } else {
      ring_.load_planes(load, isa_, jd, loaded);
      if (lines_.size() > 0) lines_.find_in_ring(ring_, load, jd, scratch.lines);
    }
    if (lines_.size() == 0) find_taps(jd - band.begin.d, scratch);
    if (rows_in_place) {
      sum_rows_in_place(task, n, band, jd, scratch, args);
      continue;
    }
    if (!coarse_in_place) load_coarse(task, n, band, jd, scratch, args);
    sum_bias(task, n, band, jd, args);
    LinesAhead ahead = lines_ahead(task, load, jd, loaded, scratch, args);
    int64_t lines = 0;
    for (int64_t i = 0; i < ahead.num_ranges; ++i) lines += scratch.ahead[i].lines;
    ahead.per_step = divide_up(lines, runs_of_plane);
    if (blocked_to_few_) {
      const Extent3 size = band.extent();
      ahead.per_step =
          divide_up(lines, static_cast<int64_t>(task.last_fine - task.first_fine) *
                               divide_up(size.h, kStripRows) * divide_up(size.w, kStripVoxels));
      if (lines_.size() > 0) {
        FewCoarseLines run{};
        run.coarse = scratch.coarse[0];
        run.coarse_step = 4;
        run.coarse_channel_pitch = 1;
        run.coarse_row_pitch = ring_.columns() * 4;
        if (coarse_in_place) {
          const TensorView& view = coarse_input.view;
          run.coarse = view.at<float>(n, 0, jd, band.begin.h, band.begin.w);
          run.coarse_step = 1;
          run.coarse_channel_pitch = view.block_pitch;
          run.coarse_row_pitch = view.row_pitch;
        }
        add_few_lines(task, band, run, in_place, scratch, ahead, args);
      } else {
        sum_few_coarse(task, band, scratch, ahead, args);
      }
      continue;
    }
    for (int64_t first = 0; first < flat; first += run_voxels) {
      const int64_t length = std::min(run_voxels, flat - first);
      for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
        for (size_t coarse = task.first_coarse; coarse < task.last_coarse;) {
          const CoarseGroup group = coarse_group(coarse, task.last_coarse);
          const RunAt at{n, band, jd, first, length, fine};
          if (group.halves > 0) {
            sum_halves(task, group, at, scratch, ahead.next(), args);
          } else {
            sum_blocks(task, group, at, scratch, ahead.next(), args);
          }
          coarse += group.count;
        }
      }
    }
  }
}

void DirectWeightGradientKernel::find_taps(int64_t plane, const Scratch& scratch) const {
  const CorrelationGeometry& g = problem_.geometry;
  int64_t tap = 0;
  for (const AxisTap& d : g.d.classes.front().taps) {
    for (const AxisTap& h : g.h.classes.front().taps) {
      for (const AxisTap& w : g.w.classes.front().taps) {
        scratch.tap_offsets[tap++] = ring_.tap_offset(g, plane, d.offset, h.offset, w.offset);
      }
    }
  }
}

void DirectWeightGradientKernel::sum_blocks(const Task& task, const CoarseGroup& group,
                                            const RunAt& at, const Scratch& scratch,
                                            LineRange ahead, const KernelArgs& args) const {
  const ChannelBlock& block = fine_blocks_[at.fine];
  WeightGradientRun run{};
  run.pitch = static_cast<int32_t>(block.scratch_pitch());
  run.fine = scratch.ring[at.fine - task.first_fine] + at.first * run.pitch;
  run.lanes = block.lanes;
  run.tap_offsets = scratch.tap_offsets;
  run.num_taps = static_cast<int32_t>(num_taps_);
  run.length = at.length;
  run.num_coarse = static_cast<int32_t>(group.count);
  for (size_t i = 0; i < group.count; ++i) {
    const size_t index = group.first + i;
    run.coarse[i] =
        scratch.coarse[(index - task.first_coarse) * (takes_halves_ ? 2 : 1)] + at.first * 16;
    run.sums[i] = partial(args, task.part, index, at.fine);
  }
  run.ahead = ahead;
  const ChannelBlock& next = coarse_blocks_[group.first];
  const TensorView& view = args.inputs[static_cast<size_t>(problem_.coarse_input)].view;
  run.next_coarse =
      at.jd + 1 < at.band.end.d && !next.plain && !view.is_bfloat16()
          ? view.at<float>(at.n, next.block, at.jd + 1, at.band.begin.h, at.band.begin.w) +
                at.first * 16
          : nullptr;
  WM_PICK_ISA(isa_, add_weight_gradient_run)(run);
}

void DirectWeightGradientKernel::sum_halves(const Task& task, const CoarseGroup& group,
                                            const RunAt& at, const Scratch& scratch,
                                            LineRange ahead, const KernelArgs& args) const {
  WeightGradientHalvesRun run{};
  run.halves = group.halves;
  for (int32_t half = 0; half < group.halves; ++half) {
    const size_t index = group.first + static_cast<size_t>(half) / 2;
    run.coarse[half] =
        scratch.coarse[(index - task.first_coarse) * 2 + static_cast<size_t>(half) % 2] +
        at.first * 16;
    run.sums[half] = partial(args, task.part, index, at.fine) + half % 2 * 8;
  }
  run.fine = scratch.ring[at.fine - task.first_fine] + at.first * 16;
  run.lanes = fine_blocks_[at.fine].lanes;
  run.tap_offsets = scratch.tap_offsets;
  run.num_taps = static_cast<int32_t>(num_taps_);
  run.length = at.length;
  run.ahead = ahead;
  WM_PICK_ISA(isa_, add_weight_gradient_halves)(run);
}

DirectWeightGradientKernel::CoarseGroup DirectWeightGradientKernel::coarse_group(
    size_t first, size_t last) const {
  const auto most = static_cast<size_t>(WM_PICK_ISA(isa_, weight_gradient_max_coarse)());
  const auto is_half = [&](size_t block) {
    return takes_halves_ && block < last && coarse_blocks_[block].lanes <= kHalfBlock;
  };
  if (is_half(first)) return {first, 1, 1};
  if (is_half(first + 1)) return {first, 2, 3};
  if (first + 1 < last && most > 1 && !is_half(first + 2)) return {first, 2, 0};
  return {first, 1, 0};
}

LinesAhead DirectWeightGradientKernel::lines_ahead(const Task& task, const SourceRing::Load& load,
                                                   int64_t jd, int64_t loaded,
                                                   const Scratch& scratch,
                                                   const KernelArgs& args) const {
  LinesAhead ahead{scratch.ahead};
  ahead.in_turns = blocked_to_few_;
  const CorrelationGeometry& g = problem_.geometry;
  // With neither a stride nor few channels there is too little to read to be worth it.
  const int64_t step = g.d.source_step * g.h.source_step * g.w.source_step;
  if (jd + 1 >= load.box.end.d || (step == 1 && !blocked_to_few_)) return ahead;
  ahead.num_ranges = ring_.lines_ahead(load, jd, loaded, blocked_to_few_, scratch.ahead);
  const TensorView& view = args.inputs[static_cast<size_t>(problem_.coarse_input)].view;
  const Extent3 size = load.box.extent();
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    if (coarse_blocks_[index].plain) continue;
    scratch.ahead[ahead.num_ranges++] =
        lines_of_voxels(view, load.n, coarse_blocks_[index].block, jd + 1, load.box.begin.h,
                        load.box.begin.w, (size.h - 1) * view.row_pitch / 16 + size.w);
  }
  return ahead;
}

void DirectWeightGradientKernel::sum_rows_in_place(const Task& task, int64_t n, const Box3& band,
                                                   int64_t jd, const Scratch& scratch,
                                                   const KernelArgs& args) const {
  const TensorView& view = args.inputs[static_cast<size_t>(problem_.coarse_input)].view;
  const auto add_run = WM_PICK_ISA(isa_, add_weight_gradient_run);
  const int64_t width = band.end.w - band.begin.w;
  const int64_t run_voxels = divide_up(width, divide_up(width, kRunVoxels));
  for (int64_t h = band.begin.h; h < band.end.h; ++h) {
    const int64_t row = (h - band.begin.h) * ring_.columns();
    for (size_t coarse = task.first_coarse; coarse < task.last_coarse; ++coarse) {
      const float* voxels = view.at<float>(n, coarse_blocks_[coarse].block, jd, h, band.begin.w);
      for (int64_t first = 0; first < width; first += run_voxels) {
        for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
          WeightGradientRun run{};
          run.pitch = static_cast<int32_t>(fine_blocks_[fine].scratch_pitch());
          run.fine = scratch.ring[fine - task.first_fine] + (row + first) * run.pitch;
          run.lanes = fine_blocks_[fine].lanes;
          run.tap_offsets = scratch.tap_offsets;
          run.num_taps = static_cast<int32_t>(num_taps_);
          run.length = std::min(run_voxels, width - first);
          run.num_coarse = 1;
          run.coarse[0] = voxels + first * 16;
          run.sums[0] = partial(args, task.part, coarse, fine);
          // Mostly what follows: the rest of the row, or the next.
          run.next_coarse = run.coarse[0] + run.length * 16;
          add_run(run);
        }
      }
    }
    Box3 one = band;
    one.begin.h = h;
    one.end.h = h + 1;
    sum_bias(task, n, one, jd, args);
  }
}

void DirectWeightGradientKernel::sum_few_coarse(const Task& task, const Box3& band,
                                                const Scratch& scratch, LinesAhead ahead,
                                                const KernelArgs& args) const {
  const auto add_run = WM_PICK_ISA(isa_, add_weight_gradient_run);
  const int64_t rows = band.end.h - band.begin.h;
  const int64_t width = band.end.w - band.begin.w;
  const int64_t columns = ring_.columns();
  const int64_t strip = divide_up(width, divide_up(width, kStripVoxels));
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    for (int64_t h = 0; h < rows; h += kStripRows) {
      for (int64_t w = 0; w < width; w += strip) {
        WeightGradientRun run{};
        run.few_coarse = coarse_blocks_.front().lanes;
        run.num_coarse = 1;
        run.coarse[0] = scratch.coarse[0] + (h * columns + w) * 4;
        run.coarse_row_pitch = columns * 4;
        run.pitch = 16;
        run.fine = scratch.ring[fine - task.first_fine] + (h * columns + w) * 16;
        run.fine_row_pitch = columns * 16;
        run.lanes = fine_blocks_[fine].lanes;
        run.tap_offsets = scratch.tap_offsets;
        run.num_taps = static_cast<int32_t>(num_taps_);
        run.length = std::min(strip, width - w);
        run.rows = std::min(kStripRows, rows - h);
        run.sums[0] = partial(args, task.part, task.first_coarse, fine);
        run.ahead = ahead.next();
        add_run(run);
      }
    }
  }
}

void DirectWeightGradientKernel::add_few_lines(const Task& task, const Box3& band,
                                               const FewCoarseLines& plane, bool in_place,
                                               const Scratch& scratch, LinesAhead ahead,
                                               const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const Extent3 size = band.extent();
  const int64_t strip = divide_up(size.w, divide_up(size.w, kStripVoxels));
  FewCoarseLines run = plane;
  run.run_lines = run_lines_.data();
  run.line_step = g.h.source_step;
  run.channels = coarse_blocks_.front().lanes;
  run.num_taps = static_cast<int32_t>(num_taps_);
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    const auto block = static_cast<int64_t>(fine - task.first_fine);
    run.sums = partial(args, task.part, task.first_coarse, fine);
    for (int64_t h = 0; h < size.h; h += kStripRows) {
      run.lines = scratch.lines + block * lines_.block_lines() + h * run.line_step;
      run.rows = std::min(kStripRows, size.h - h);
      for (int64_t w = 0; w < size.w; w += strip) {
        run.first = w;
        run.length = std::min(strip, size.w - w);
        run.first_outside = in_place && w == 0 && band.begin.w + g.w.min_offset < 0;
        run.last_outside = in_place && w + run.length == size.w &&
                           band.end.w - 1 + g.w.max_offset >= g.w.source_extent;
        run.coarse = plane.coarse + h * run.coarse_row_pitch + w * run.coarse_step;
        run.ahead = ahead.next();
        WM_PICK_ISA(isa_, add_few_coarse_lines)(run);
      }
    }
  }
}

void DirectWeightGradientKernel::turn_few_sums(const Task& task, const KernelArgs& args) const {
  const int64_t channels = coarse_blocks_.front().lanes;
  for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
    float* sums = partial(args, task.part, task.first_coarse, fine);
    // From the last tap on: what is read lies before what is written.
    for (int64_t tap = num_taps_ - 1; tap >= 0; --tap) {
      float lanes[4 * 16];
      std::copy_n(sums + tap * channels * 16, channels * 16, lanes);
      float* out = sums + tap * 256;
      for (int64_t lane = 0; lane < 16; ++lane) {
        for (int64_t c = 0; c < 16; ++c) {
          out[lane * 16 + c] = c < channels ? lanes[c * 16 + lane] : 0.0F;
        }
      }
    }
  }
}

void DirectWeightGradientKernel::load_coarse(const Task& task, int64_t n, const Box3& band,
                                             int64_t jd, const Scratch& scratch,
                                             const KernelArgs& args) const {
  const InputView& input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  const auto copy = WM_PICK_ISA(isa_, copy_row);
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    const ChannelBlock& block = coarse_blocks_[index];
    const BlockTransform transform = block_transform(input.transform, block);
    RowCopy row{};
    row.source_step = block.plain ? 1 : 16;
    row.channel_pitch = input.view.block_pitch;
    row.bfloat16 = input.view.is_bfloat16();
    row.channels = block.lanes;
    row.plain = block.plain;
    row.pitch = blocked_to_few_ ? 4 : 16;
    row.count = band.end.w - band.begin.w;
    // Zeros up to the next row: the flat walk multiplies them with the fine operand's halo.
    row.zeros_after = ring_.columns() - row.count;
    row.transformed = transform.active;
    row.scale = transform.scale;
    row.shift = transform.shift;
    row.slope = transform.slope;
    for (int64_t h = band.begin.h; h < band.end.h; ++h) {
      row.source = input.view.address(n, block.plain ? 0 : block.block, jd, h, band.begin.w);
      row.destination = scratch.coarse[(index - task.first_coarse) * (takes_halves_ ? 2 : 1)] +
                        (h - band.begin.h) * ring_.columns() * row.pitch;
      copy(row);
    }
  }
  for (size_t first = task.first_coarse; first < task.last_coarse;) {
    const CoarseGroup group = coarse_group(first, task.last_coarse);
    for (int32_t half = 0; half < group.halves; half += 2) {
      float* const* arrays =
          scratch.coarse + (first - task.first_coarse + static_cast<size_t>(half) / 2) * 2;
      WM_PICK_ISA(isa_, twice_each_row)
      ({arrays[0], (band.end.h - band.begin.h) * ring_.columns(), arrays[0],
        half + 1 < group.halves ? arrays[1] : nullptr});
    }
    first += group.count;
  }
}

}  // namespace wholemount
