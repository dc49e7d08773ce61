#include "wholemount/ops/conv/weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

/// Fewer pairs of blocks are folded by several tasks each.
constexpr size_t kWantedFolds = 16;
constexpr int64_t kPartialBytes = int64_t{64} << 20;

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

bool WeightGradientProblem::is_blocked_coarse(int input) const {
  return input == coarse_input && coarse.layout == Layout::blocked16;
}

bool WeightGradientProblem::is_blocked_fine(int input) const {
  const int index = input - first_fine;
  return index >= 0 && index < static_cast<int>(fine.size()) &&
         fine[static_cast<size_t>(index)].layout == Layout::blocked16;
}

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
  const size_t pairs = coarse_blocks_.size() * fine_blocks_.size();
  if (pairs < kWantedFolds && pairs > 0) {
    folds_per_pair_ = divide_up(num_taps_, fold_taps(fine_blocks_.front().scratch_pitch()));
  }
}

void WeightGradientKernel::cut(int64_t coarse_per_panel, int64_t fine_per_panel,
                               int64_t wanted_tasks, const Extent3& grain, const Extent3& least) {
  coarse_per_panel_ = coarse_per_panel;
  fine_per_panel_ = fine_per_panel;
  coarse_panels_ = divide_up(static_cast<int64_t>(coarse_blocks_.size()), coarse_per_panel_);
  fine_panels_ = divide_up(static_cast<int64_t>(fine_blocks_.size()), fine_per_panel_);

  const CorrelationGeometry& g = problem_.geometry;
  const int64_t part_bytes = part_floats_ * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::max<int64_t>(
      std::max(kPartialBytes, 2 * static_cast<int64_t>(problem_.weights.bytes())) / part_bytes, 1);
  const int64_t wanted = std::min(divide_up(wanted_tasks, coarse_panels_ * fine_panels_), most);
  parts_d_ = std::clamp<int64_t>(wanted, 1, divide_up(g.d.count, least.d));
  planes_per_part_ = round_up(divide_up(g.d.count, parts_d_), grain.d);
  parts_d_ = divide_up(g.d.count, planes_per_part_);
  parts_h_ = std::clamp<int64_t>(std::min(divide_up(wanted, parts_d_), most / parts_d_), 1,
                                 divide_up(g.h.count, least.h));
  rows_per_part_ = round_up(divide_up(g.h.count, parts_h_), grain.h);
  parts_h_ = divide_up(g.h.count, rows_per_part_);

  if (is_whole()) part_floats_ = 0;
  ScratchCursor shared(nullptr);
  shared.take<float>(checked_multiply(part_floats_, parts_d_ * parts_h_));
  shared.take<double>(checked_multiply(bias_blocks() * 16, parts_d_ * parts_h_));
  shared_bytes_ = shared.bytes();
}

int64_t WeightGradientKernel::bias_blocks() const {
  if (!problem_.has_bias) return 0;
  return static_cast<int64_t>((problem_.bias_of_fine ? fine_blocks_ : coarse_blocks_).size());
}

int64_t WeightGradientKernel::num_tasks(int phase) const {
  if (phase == 0) return parts_d_ * parts_h_ * coarse_panels_ * fine_panels_;
  if (is_whole()) return bias_blocks();
  return static_cast<int64_t>(coarse_blocks_.size() * fine_blocks_.size()) * folds_per_pair_;
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
  if (output == 0) {
    return (phase == 0) == is_whole() ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase == 0) return {};
  return whole_box({1, 1, problem_.bias_of_fine ? problem_.weights.c : problem_.weights.n});
}

void WeightGradientKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    sum_part(task_at(task), args);
    return;
  }
  if (is_whole()) {
    if (args.outputs[1].view.origin != nullptr) fold_bias(static_cast<size_t>(task), args);
    return;
  }
  const auto pair = static_cast<size_t>(task / folds_per_pair_);
  const int64_t fold = task % folds_per_pair_;
  const size_t coarse = pair / fine_blocks_.size();
  const size_t fine = pair % fine_blocks_.size();
  if (args.outputs[0].view.origin != nullptr) {
    const int64_t taps = divide_up(num_taps_, folds_per_pair_);
    fold_weights(coarse, fine, fold * taps, std::min((fold + 1) * taps, num_taps_), args);
  }
  if (fold > 0 || !problem_.has_bias || args.outputs[1].view.origin == nullptr) return;
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
  return shared.take<double>(bias_blocks() * 16 * parts_d_ * parts_h_) +
         (part * bias_blocks() + static_cast<int64_t>(block)) * 16;
}

void WeightGradientKernel::clear_weights(const Task& task, const KernelArgs& args) const {
  for (size_t coarse = task.first_coarse; coarse < task.last_coarse; ++coarse) {
    for (size_t fine = task.first_fine; fine < task.last_fine; ++fine) {
      std::fill_n(partial(args, task.part, coarse, fine),
                  num_taps_ * fine_blocks_[fine].scratch_pitch() * 16, 0.0F);
    }
  }
}

void WeightGradientKernel::clear_bias(const Task& task, const KernelArgs& args) const {
  if (!problem_.has_bias) return;
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

double* WeightGradientKernel::coarse_bias_sums(const Task& task, size_t block,
                                               const KernelArgs& args) const {
  const bool answers = problem_.has_bias && !problem_.bias_of_fine && task.first_fine == 0;
  return answers ? bias_partial(args, task.part, block) : nullptr;
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
