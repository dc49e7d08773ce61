#include "wholemount/ops/conv/row_winograd_weight_gradient_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/row_winograd_gradient.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

constexpr int64_t kWantedTasks = 64;
/// Parts of fewer rows or planes transform more halo than they save.
constexpr int64_t kMinRows = 32;
constexpr int64_t kMinPlanes = 8;
/// Rows of a part that are walked down at once: with several taps along d all are held.
constexpr int64_t kBandRows = 32;

}  // namespace

std::string RowWinogradWeightGradientKernel::refusal(const WeightGradientProblem& problem) {
  const TensorDesc& fine = problem.fine.front();
  if (problem.weights.dtype != DType::f32 || problem.fine.size() != 1 || fine.dtype != DType::f32 ||
      fine.layout != Layout::plain || fine.c > 4 || problem.coarse.dtype != DType::f32 ||
      problem.coarse.layout != Layout::blocked16) {
    return "takes one float32 tensor of 1 to 4 channels to more than 4";
  }
  if (problem.has_bias && problem.bias_of_fine) return "does not sum the image";
  return row_winograd_geometry_refusal(problem.geometry);
}

std::optional<RowTileShape> RowWinogradWeightGradientKernel::tile(
    const WeightGradientProblem& problem, Convolution asked) {
  // Three taps leave few sums to a broadcast value: measured 2 to 5 % behind the direct kernel.
  if (asked == Convolution::best && problem.conv.kernel.h == 3) return {};
  return choose_row_tile(problem.geometry, problem.weights.c, asked);
}

struct RowWinogradWeightGradientKernel::Scratch {
  Scratch(const RowWinogradWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t points = kernel.shape_.points();
    columns = cursor.take<float>(points * kRowRecord);
    buffer = cursor.take<float>(kernel.source_.buffer_floats());
    rows = cursor.take<const float*>(kernel.source_.num_pointers());
    coarse = cursor.take<float>(kRowsTogether * kRowTilesTogether * points * 16);
    records = cursor.take<float>(kernel.source_.floats());
    sums = cursor.take<float>(kernel.coarse_per_panel_ * points * kernel.point_sums_);
  }
  ScratchCursor cursor;
  float* columns;
  float* buffer;
  const float** rows;
  float* coarse;
  float* records;
  float* sums;  ///< [coarse block][point][tap along d][channel][tap along h][16]
};

RowWinogradWeightGradientKernel::RowWinogradWeightGradientKernel(WeightGradientProblem problem,
                                                                 const RowTileShape& shape, Isa isa,
                                                                 std::string reason)
    : WeightGradientKernel(std::move(problem), isa, std::move(reason)),
      shape_(shape),
      channels_(problem_.weights.c),
      point_sums_(num_taps_ / shape_.taps * channels_ * 16) {
  const bool deep = problem_.geometry.d.span(1) > 1;
  cut(static_cast<int64_t>(coarse_blocks_.size()), 1, kWantedTasks, {1, kRowsTogether, 1},
      {deep ? kMinPlanes : 1, kMinRows, 1});
  source_ =
      RowWinogradSource(problem_.geometry, shape_, channels_, std::min(rows_per_part_, kBandRows));
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

std::string RowWinogradWeightGradientKernel::name() const {
  return problem_.pass + "_row_winograd_" + shape_.name() + "_" + std::string(isa_name(isa_));
}

void RowWinogradWeightGradientKernel::sum_part(const Task& task, const KernelArgs& args) const {
  clear_weights(task, args);
  clear_bias(task, args);
  const Scratch scratch(*this, args.thread_scratch);
  std::fill_n(scratch.sums, coarse_per_panel_ * shape_.points() * point_sums_, 0.0F);
  WM_PICK_ISA(isa_, row_winograd_columns)(shape_.tile, scratch.columns);
  RowWinogradSource::Load load;
  load.geometry = &problem_.geometry;
  load.input = &args.inputs[static_cast<size_t>(problem_.first_fine)];
  load.columns = scratch.columns;
  load.buffer = scratch.buffer;
  load.records = scratch.records;
  for (load.n = 0; load.n < problem_.coarse.n; ++load.n) {
    for (int64_t h = task.box.begin.h; h < task.box.end.h; h += kBandRows) {
      load.box = task.box;
      load.box.begin.h = h;
      load.box.end.h = std::min(h + kBandRows, task.box.end.h);
      load.source = problem_.geometry.source_box(load.box);
      source_.for_each_block(load, isa_, scratch.rows, [&](int64_t d, int64_t row, int64_t tile) {
        for (size_t block = task.first_coarse; block < task.last_coarse; ++block) {
          sum_rows(task, load, d, row, tile, block, scratch, args);
        }
      });
    }
  }
  transform_sums(task, scratch, args);
}

void RowWinogradWeightGradientKernel::sum_rows(const Task& task,
                                               const RowWinogradSource::Load& load, int64_t d,
                                               int64_t row, int64_t tile, size_t index,
                                               const Scratch& scratch,
                                               const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const ChannelBlock& block = coarse_blocks_[index];
  const InputView& input = args.inputs[static_cast<size_t>(problem_.coarse_input)];
  const BlockTransform transform = block_transform(input.transform, block);
  const int64_t w = (load.first_tile + tile) * shape_.outputs;
  const int64_t tiles = std::min(kRowTilesTogether, load.tiles - tile);
  const int64_t rows_left = load.box.end.h - load.box.begin.h - row;
  RowWinogradCoarse coarse{};
  coarse.tile = shape_.tile;
  coarse.source =
      input.view.at<float>(load.n, block.block, load.box.begin.d + d, load.box.begin.h + row, w);
  coarse.row_pitch = input.view.row_pitch;
  coarse.rows = std::min(kRowsTogether, rows_left);
  coarse.columns = std::min(tiles * shape_.outputs, g.w.count - w);
  coarse.tiles = tiles;
  coarse.transformed = transform.active;
  coarse.scale = transform.scale;
  coarse.shift = transform.shift;
  coarse.slope = transform.slope;
  coarse.sums = coarse_bias_sums(task, index, args);
  coarse.destination = scratch.coarse;
  WM_PICK_ISA(isa_, row_winograd_coarse)(coarse);

  RowWinogradGradient gradient{};
  gradient.rows = scratch.rows;
  gradient.channel_pitch = source_.channel_pitch();
  gradient.planes = static_cast<int32_t>(g.d.classes.front().taps.size());
  gradient.channels = static_cast<int32_t>(channels_);
  gradient.row_taps = static_cast<int32_t>(g.h.classes.front().taps.size());
  gradient.points = static_cast<int32_t>(shape_.points());
  gradient.outputs = static_cast<int32_t>(shape_.outputs);
  gradient.tiles = static_cast<int32_t>(tiles);
  gradient.coarse = scratch.coarse;
  gradient.sums = scratch.sums +
                  static_cast<int64_t>(index - task.first_coarse) * shape_.points() * point_sums_;
  if (rows_left >= kRowsTogether && w + 2 * tiles * shape_.outputs <= g.w.count) {
    gradient.next_coarse = coarse.source + tiles * shape_.outputs * 16;
    gradient.coarse_row_pitch = coarse.row_pitch;
  }
  WM_PICK_ISA(isa_, row_winograd_gradient)(gradient);
}

void RowWinogradWeightGradientKernel::transform_sums(const Task& task, const Scratch& scratch,
                                                     const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const auto transform = WM_PICK_ISA(isa_, row_winograd_filter_adjoint);
  const int64_t pitch = fine_blocks_.front().scratch_pitch();
  for (size_t coarse = task.first_coarse; coarse < task.last_coarse; ++coarse) {
    const float* sums = scratch.sums + static_cast<int64_t>(coarse - task.first_coarse) *
                                           shape_.points() * point_sums_;
    float* taps = partial(args, task.part, coarse, 0);
    for (int64_t d = 0; d < g.kernel.d; ++d) {
      for (int64_t c = 0; c < channels_; ++c) {
        for (int64_t h = 0; h < g.kernel.h; ++h) {
          transform(shape_.tile, sums, point_sums_,
                    taps + (((d * g.kernel.h + h) * g.kernel.w) * pitch + c) * 16, pitch * 16);
          sums += 16;
        }
      }
    }
  }
}

}  // namespace wholemount
