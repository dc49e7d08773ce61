#include "wholemount/ops/conv/weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"
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
constexpr int64_t kMinRows = 8;
constexpr int64_t kPartialBytes = int64_t{64} << 20;
/// Voxels summed in registers before the sums go to memory; a run's rows of both operands stay in
/// the first-level cache for all taps of a row.
constexpr int64_t kRunVoxels = 256;

/// Blocks of the other operand a vector must meet when it meets `per_block` multiply-adds in each.
int64_t panel_blocks(int64_t per_block, size_t blocks) {
  const int64_t wanted = divide_up(kMinReuse, std::max<int64_t>(per_block, 1));
  return std::min(std::clamp(wanted, kMinPanelBlocks, kMaxPanelBlocks),
                  static_cast<int64_t>(blocks));
}

/// The fine voxels along an axis that belong to destinations [begin, end): every fine voxel
/// belongs to exactly one.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};
Range owned(const CorrelationAxis& axis, int64_t begin, int64_t end) {
  const int64_t extent = axis.source_extent;
  return {std::min(begin * axis.source_step, extent),
          end == axis.count ? extent : std::min(end * axis.source_step, extent)};
}

Box3 bounding(const Box3& a, const Box3& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {{std::min(a.begin.d, b.begin.d), std::min(a.begin.h, b.begin.h),
           std::min(a.begin.w, b.begin.w)},
          {std::max(a.end.d, b.end.d), std::max(a.end.h, b.end.h), std::max(a.end.w, b.end.w)}};
}

}  // namespace

int64_t WeightGradientProblem::flops() const {
  return checked_multiply(checked_multiply(coarse.n, volume(coarse.extent)),
                          2 * weights.num_elements());
}

int64_t WeightGradientProblem::traffic_bytes() const {
  size_t bytes = weights.bytes() + coarse.bytes();
  for (const TensorDesc& desc : fine) bytes += desc.bytes();
  return static_cast<int64_t>(bytes);
}

std::string WeightGradientKernel::refusal(const WeightGradientProblem& problem) {
  const auto fits = [](const TensorDesc& desc) {
    return desc.dtype == DType::f32 && (desc.layout == Layout::blocked16 || desc.c <= 4);
  };
  if (problem.weights.dtype != DType::f32 || !fits(problem.coarse) ||
      !std::all_of(problem.fine.begin(), problem.fine.end(), fits)) {
    return "takes float32 tensors, blocked or of 1 to 4 plain channels";
  }
  return {};
}

struct WeightGradientKernel::Scratch {
  Scratch(const WeightGradientKernel& kernel, std::byte* base) : cursor(base) {
    ring = cursor.take<float*>(kernel.fine_per_panel_);
    coarse = cursor.take<float*>(kernel.coarse_per_panel_);
    tap_offsets = cursor.take<int64_t>(kernel.num_taps_);
    for (int64_t i = 0; i < kernel.fine_per_panel_; ++i) {
      float* block = cursor.take<float>(kernel.ring_.block_voxels() * 16);
      if (base != nullptr) ring[i] = block;
    }
    for (int64_t i = 0; i < kernel.coarse_per_panel_; ++i) {
      float* block = cursor.take<float>(kernel.band_.rows * kernel.ring_.columns() * 16);
      if (base != nullptr) coarse[i] = block;
    }
  }
  ScratchCursor cursor;
  float** ring;
  float** coarse;
  int64_t* tap_offsets;
};

WeightGradientKernel::WeightGradientKernel(WeightGradientProblem problem, Isa isa,
                                           std::string reason)
    : problem_(std::move(problem)),
      isa_(isa),
      reason_(std::move(reason)),
      coarse_blocks_(channel_blocks({&problem_.coarse, 1})),
      fine_blocks_(channel_blocks(problem_.fine)),
      num_taps_(volume(problem_.conv.kernel)) {
  for (const ChannelBlock& block : fine_blocks_) {
    fine_offset_.push_back(coarse_floats_);
    coarse_floats_ += num_taps_ * block.scratch_pitch() * 16;
  }
  part_floats_ = checked_multiply(coarse_floats_, static_cast<int64_t>(coarse_blocks_.size()));
  const CorrelationGeometry& g = problem_.geometry;
  coarse_per_panel_ =
      panel_blocks(16 * num_taps_ / (g.d.source_step * g.h.source_step * g.w.source_step),
                   coarse_blocks_.size());
  fine_per_panel_ = panel_blocks(16 * num_taps_, fine_blocks_.size());
  coarse_panels_ = divide_up(static_cast<int64_t>(coarse_blocks_.size()), coarse_per_panel_);
  fine_panels_ = divide_up(static_cast<int64_t>(fine_blocks_.size()), fine_per_panel_);
  choose_parts();
  size_scratch();
}

void WeightGradientKernel::choose_parts() {
  const CorrelationGeometry& g = problem_.geometry;
  const int64_t part_bytes = part_floats_ * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::max<int64_t>(
      std::max(kPartialBytes, 2 * static_cast<int64_t>(problem_.weights.bytes())) / part_bytes, 1);
  const int64_t wanted = std::min(divide_up(kWantedTasks, coarse_panels_ * fine_panels_), most);
  parts_d_ = std::clamp<int64_t>(wanted, 1, divide_up(g.d.count, kMinPlanes));
  planes_per_part_ = divide_up(g.d.count, parts_d_);
  parts_d_ = divide_up(g.d.count, planes_per_part_);
  parts_h_ = std::clamp<int64_t>(std::min(divide_up(wanted, parts_d_), most / parts_d_), 1,
                                 divide_up(g.h.count, kMinRows));
  rows_per_part_ = divide_up(g.h.count, parts_h_);
  parts_h_ = divide_up(g.h.count, rows_per_part_);

  const auto fits = [&](int64_t rows, int64_t columns) {
    const SourceRing ring(g, rows, columns, 0);
    const int64_t vectors =
        ring.block_voxels() * fine_per_panel_ + rows * ring.columns() * coarse_per_panel_;
    return vectors * static_cast<int64_t>(16 * sizeof(float)) <= kRowsBytes;
  };
  band_ = choose_band(rows_per_part_, g.w.count, fits);
  ring_ = SourceRing(g, band_.rows, band_.columns, 0);
}

void WeightGradientKernel::size_scratch() {
  const auto bias_blocks = static_cast<int64_t>(
      problem_.has_bias ? (problem_.bias_of_fine ? fine_blocks_ : coarse_blocks_).size() : 0);
  ScratchCursor shared(nullptr);
  shared.take<float>(checked_multiply(part_floats_, parts_d_ * parts_h_));
  shared.take<double>(checked_multiply(bias_blocks * 16, parts_d_ * parts_h_));
  shared_bytes_ = shared.bytes();
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::string WeightGradientKernel::name() const {
  return problem_.pass + "_direct_" + std::string(isa_name(isa_));
}

int64_t WeightGradientKernel::num_tasks(int phase) const {
  if (phase == 0) return parts_d_ * parts_h_ * coarse_panels_ * fine_panels_;
  return static_cast<int64_t>(coarse_blocks_.size() * fine_blocks_.size());
}

WeightGradientKernel::Task WeightGradientKernel::task_at(int64_t task) const {
  const CorrelationGeometry& g = problem_.geometry;
  const auto fine_panel = static_cast<size_t>(task % fine_panels_);
  task /= fine_panels_;
  const auto coarse_panel = static_cast<size_t>(task % coarse_panels_);
  task /= coarse_panels_;
  Task result;
  result.part = task;
  result.first_coarse = coarse_panel * static_cast<size_t>(coarse_per_panel_);
  result.last_coarse =
      std::min(result.first_coarse + static_cast<size_t>(coarse_per_panel_), coarse_blocks_.size());
  result.first_fine = fine_panel * static_cast<size_t>(fine_per_panel_);
  result.last_fine =
      std::min(result.first_fine + static_cast<size_t>(fine_per_panel_), fine_blocks_.size());
  const int64_t d = (task / parts_h_) * planes_per_part_;
  const int64_t h = (task % parts_h_) * rows_per_part_;
  result.box = clip({{d, h, 0}, {d + planes_per_part_, h + rows_per_part_, g.w.count}},
                    {g.d.count, g.h.count, g.w.count});
  return result;
}

Box3 WeightGradientKernel::input_box(int phase, int64_t task, int input) const {
  if (phase != 0) return {};
  const CorrelationGeometry& g = problem_.geometry;
  const Box3 box = task_at(task).box;
  if (input == problem_.coarse_input) return box;
  const Box3 touched = g.source_box(box);
  if (!problem_.has_bias || !problem_.bias_of_fine) return touched;
  const Range d = owned(g.d, box.begin.d, box.end.d);
  const Range h = owned(g.h, box.begin.h, box.end.h);
  const Range w = owned(g.w, box.begin.w, box.end.w);
  return bounding(touched, {{d.begin, h.begin, w.begin}, {d.end, h.end, w.end}});
}

Box3 WeightGradientKernel::output_box(int phase, int64_t /*task*/, int output) const {
  if (phase == 0) return {};
  if (output == 0) return whole_box(problem_.weights.extent);
  return whole_box({1, 1, problem_.bias_of_fine ? problem_.weights.c : problem_.weights.n});
}

void WeightGradientKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    sum_part(task_at(task), args);
    return;
  }
  const auto coarse = static_cast<size_t>(task) / fine_blocks_.size();
  const auto fine = static_cast<size_t>(task) % fine_blocks_.size();
  if (args.outputs[0].view.origin != nullptr) fold_weights(coarse, fine, args);
  if (!problem_.has_bias || args.outputs[1].view.origin == nullptr) return;
  if (problem_.bias_of_fine ? coarse == 0 : fine == 0) {
    fold_bias(problem_.bias_of_fine ? fine : coarse, args);
  }
}

float* WeightGradientKernel::partial(const KernelArgs& args, int64_t part, size_t coarse,
                                     size_t fine) const {
  return reinterpret_cast<float*>(args.shared_scratch) + part * part_floats_ +
         static_cast<int64_t>(coarse) * coarse_floats_ + fine_offset_[fine];
}

double* WeightGradientKernel::bias_partial(const KernelArgs& args, int64_t part,
                                           size_t block) const {
  ScratchCursor shared(args.shared_scratch);
  shared.take<float>(part_floats_ * parts_d_ * parts_h_);
  const auto blocks =
      static_cast<int64_t>((problem_.bias_of_fine ? fine_blocks_ : coarse_blocks_).size());
  return shared.take<double>(blocks * 16 * parts_d_ * parts_h_) +
         (part * blocks + static_cast<int64_t>(block)) * 16;
}

void WeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  for (size_t coarse = task.first_coarse; coarse < task.last_coarse; ++coarse) {
    for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
      std::fill_n(partial(args, task.part, coarse, fine),
                  num_taps_ * fine_blocks_[fine].scratch_pitch() * 16, 0.0F);
    }
  }
  if (problem_.has_bias) {
    // The panels of the other operand's first blocks answer for the bias.
    if (problem_.bias_of_fine && task.first_coarse == 0) {
      for (size_t block = task.first_fine; block < task.last_fine; ++block) {
        std::fill_n(bias_partial(args, task.part, block), 16, 0.0);
      }
    } else if (!problem_.bias_of_fine && task.first_fine == 0) {
      for (size_t block = task.first_coarse; block < task.last_coarse; ++block) {
        std::fill_n(bias_partial(args, task.part, block), 16, 0.0);
      }
    }
  }
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
}

void WeightGradientKernel::sum_band(const Task& task, int64_t n, const Box3& band,
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
  const auto add_run = WM_PICK_ISA(isa_, add_weight_gradient_run);
  const auto pair = static_cast<size_t>(WM_PICK_ISA(isa_, weight_gradient_max_coarse)());

  int64_t loaded = band.begin.d * g.d.source_step;
  for (int64_t jd = band.begin.d; jd < band.end.d; ++jd) {
    ring_.load_planes(load, isa_, jd, loaded);
    load_coarse(task, n, band, jd, scratch, args);
    sum_bias(task, n, band, jd, args);
    int64_t tap = 0;
    for (const AxisTap& d : g.d.classes.front().taps) {
      for (const AxisTap& h : g.h.classes.front().taps) {
        for (const AxisTap& w : g.w.classes.front().taps) {
          scratch.tap_offsets[tap++] = ring_.tap_offset(g, jd, d.offset, h.offset, w.offset);
        }
      }
    }
    for (int64_t first = 0; first < flat; first += run_voxels) {
      for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
        const ChannelBlock& block = fine_blocks_[fine];
        WeightGradientRun run{};
        run.pitch = static_cast<int32_t>(block.scratch_pitch());
        run.fine = scratch.ring[fine - task.first_fine] + first * run.pitch;
        run.lanes = block.lanes;
        run.tap_offsets = scratch.tap_offsets;
        run.num_taps = static_cast<int32_t>(num_taps_);
        run.length = std::min(run_voxels, flat - first);
        for (size_t coarse = task.first_coarse; coarse < task.last_coarse; coarse += pair) {
          run.num_coarse = static_cast<int32_t>(std::min(pair, task.last_coarse - coarse));
          for (int32_t i = 0; i < run.num_coarse; ++i) {
            const size_t index = coarse + static_cast<size_t>(i);
            run.coarse[i] = scratch.coarse[index - task.first_coarse] + first * 16;
            run.sums[i] = partial(args, task.part, index, fine);
          }
          add_run(run);
        }
      }
    }
  }
}

void WeightGradientKernel::load_coarse(const Task& task, int64_t n, const Box3& band, int64_t jd,
                                       const Scratch& scratch, const KernelArgs& args) const {
  const InputView& input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  const auto copy = WM_PICK_ISA(isa_, copy_row);
  for (size_t index = task.first_coarse; index < task.last_coarse; ++index) {
    const ChannelBlock& block = coarse_blocks_[index];
    const BlockTransform transform = block_transform(input.transform, block);
    RowCopy row{};
    row.source_step = block.plain ? 1 : 16;
    row.channel_pitch = input.view.block_pitch;
    row.channels = block.lanes;
    row.plain = block.plain;
    row.pitch = 16;
    row.count = band.end.w - band.begin.w;
    // Zeros up to the next row: the flat walk multiplies them with the fine operand's halo.
    row.zeros_after = ring_.columns() - row.count;
    row.transformed = transform.active;
    row.scale = transform.scale;
    row.shift = transform.shift;
    row.slope = transform.slope;
    for (int64_t h = band.begin.h; h < band.end.h; ++h) {
      row.source = input.view.at<float>(n, block.plain ? 0 : block.block, jd, h, band.begin.w);
      row.destination =
          scratch.coarse[index - task.first_coarse] + (h - band.begin.h) * ring_.columns() * 16;
      copy(row);
    }
  }
}

void WeightGradientKernel::sum_bias(const Task& task, int64_t n, const Box3& band, int64_t jd,
                                    const KernelArgs& args) const {
  if (!problem_.has_bias || (problem_.bias_of_fine ? task.first_coarse : task.first_fine) != 0) {
    return;
  }
  const CorrelationGeometry& g = problem_.geometry;
  const bool of_fine = problem_.bias_of_fine;
  const Range d = of_fine ? owned(g.d, jd, jd + 1) : Range{jd, jd + 1};
  const Range h = of_fine ? owned(g.h, band.begin.h, band.end.h) : Range{band.begin.h, band.end.h};
  const Range w = of_fine ? owned(g.w, band.begin.w, band.end.w) : Range{band.begin.w, band.end.w};
  const size_t first = of_fine ? task.first_fine : task.first_coarse;
  const size_t last = of_fine ? task.last_fine : task.last_coarse;
  const auto sum = WM_PICK_ISA(isa_, sum_row);
  for (size_t index = first; index < last; ++index) {
    const ChannelBlock& block = of_fine ? fine_blocks_[index] : coarse_blocks_[index];
    const int base = of_fine ? problem_.first_fine : problem_.coarse_input;
    const InputView& input = args.inputs[static_cast<size_t>(base + block.tensor)];
    const BlockTransform transform = block_transform(input.transform, block);
    RowSum row{};
    row.channel_pitch = input.view.block_pitch;
    row.channels = block.lanes;
    row.plain = block.plain;
    row.count = w.end - w.begin;
    row.transformed = transform.active;
    row.scale = transform.scale;
    row.shift = transform.shift;
    row.slope = transform.slope;
    row.sums = bias_partial(args, task.part, index);
    for (int64_t z = d.begin; z < d.end; ++z) {
      for (int64_t y = h.begin; y < h.end; ++y) {
        row.source = input.view.at<float>(n, block.plain ? 0 : block.block, z, y, w.begin);
        sum(row);
      }
    }
  }
}

}  // namespace wholemount
