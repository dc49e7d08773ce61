#include "wholemount/ops/conv/row_winograd_correlation_kernel.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/columns.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

/// Enough tasks for many threads to end at about the same time.
constexpr int64_t kWantedTasks = 64;
/// Bands of fewer rows or slabs of fewer planes transform more halo than they save.
constexpr int64_t kMinRows = 32;
constexpr int64_t kMaxRows = 64;
constexpr int64_t kMinPlanes = 8;
/// With several taps along d all rows of a band are held for each, in a core's L2 cache.
constexpr int64_t kMaxDeepRows = 32;
/// Larger results leave the caches before they are read again: written past them they need not be
/// brought in first.
constexpr int64_t kStreamBytes = int64_t{16} << 20;

bool is_blocked(const TensorDesc& desc) {
  return desc.n == 0 || (desc.dtype == DType::f32 && desc.layout == Layout::blocked16);
}

}  // namespace

std::string RowWinogradCorrelationKernel::refusal(const CorrelationProblem& problem) {
  const TensorDesc& source = problem.sources.front();
  if (problem.weights.dtype != DType::f32 || problem.sources.size() != 1 ||
      source.dtype != DType::f32 || source.layout != Layout::plain || source.c > 4 ||
      !std::all_of(problem.destinations.begin(), problem.destinations.end(), is_blocked)) {
    return "takes one float32 tensor of 1 to 4 channels to more than 4";
  }
  if (problem.rectified_input >= 0) return "does not rectify its result";
  return row_winograd_geometry_refusal(problem.geometry);
}

std::optional<RowTileShape> RowWinogradCorrelationKernel::tile(const CorrelationProblem& problem,
                                                               Convolution asked) {
  return choose_row_tile(problem.geometry, problem.source_channels(), asked);
}

struct RowWinogradCorrelationKernel::Scratch {
  Scratch(const RowWinogradCorrelationKernel& kernel, std::byte* base) : cursor(base) {
    const int64_t points = kernel.shape_.points();
    columns = cursor.take<float>(points * kRowRecord);
    buffer = cursor.take<float>(kernel.source_.buffer_floats());
    bias = cursor.take<float>(static_cast<int64_t>(kernel.destination_blocks_.size()) * 16);
    taps = cursor.take<float>((volume(kernel.problem_.geometry.kernel) + kernel.shape_.taps) * 16);
    rows = cursor.take<const float*>(kernel.source_.num_pointers());
    products = cursor.take<float>(kRowsTogether * kRowTilesTogether * points * 16);
    records = cursor.take<float>(kernel.source_.floats());
  }
  ScratchCursor cursor;
  float* columns;
  float* buffer;
  float* bias;  ///< [block][16]
  float* taps;  ///< the kernel of sixteen channels, and a row of it, when weights are transformed
  const float** rows;
  float* products;
  float* records;
};

RowWinogradCorrelationKernel::RowWinogradCorrelationKernel(CorrelationProblem problem,
                                                           const RowTileShape& shape, Isa isa,
                                                           std::string reason)
    : problem_(std::move(problem)),
      shape_(shape),
      isa_(isa),
      reason_(std::move(reason)),
      destination_blocks_(channel_blocks(problem_.destinations)),
      channels_(problem_.source_channels()),
      point_weights_(volume(problem_.geometry.kernel) / shape_.taps * channels_ * 16) {
  for (const TensorDesc& desc : problem_.destinations) {
    streams_.push_back(static_cast<int64_t>(desc.bytes()) >= kStreamBytes);
  }
  choose_boxes();
  source_ = RowWinogradSource(problem_.geometry, shape_, channels_, box_.h);
  const auto blocks = static_cast<int64_t>(destination_blocks_.size());
  ScratchCursor shared(nullptr);
  shared.take<float>(checked_multiply(checked_multiply(blocks, shape_.points()), point_weights_));
  shared_bytes_ = shared.bytes();
  if (problem_.moments_output >= 0) {
    moments_ = {problem_.moments_output, boxes_.d * boxes_.h, problem_.destination_channels(),
                shared_bytes_};
    shared_bytes_ = moments_.scratch_end();
  }
  thread_bytes_ = Scratch(*this, nullptr).cursor.bytes();
}

void RowWinogradCorrelationKernel::choose_boxes() {
  const CorrelationGeometry& g = problem_.geometry;
  const bool deep = g.d.span(1) > 1;
  const int64_t planes_of_all = problem_.sources.front().n * g.d.count;
  int64_t rows = divide_up(g.h.count * planes_of_all, kWantedTasks);
  rows = std::clamp(rows, kMinRows, deep ? kMaxDeepRows : kMaxRows);
  rows = round_up(divide_up(g.h.count, divide_up(g.h.count, rows)), kRowsTogether);
  const int64_t bands = divide_up(g.h.count, rows) * problem_.sources.front().n;
  const int64_t slabs = std::clamp<int64_t>(divide_up(kWantedTasks, bands), 1,
                                            deep ? divide_up(g.d.count, kMinPlanes) : g.d.count);
  box_ = {divide_up(g.d.count, slabs), rows, g.w.count};
  boxes_ = {divide_up(g.d.count, box_.d), divide_up(g.h.count, box_.h), 1};
}

std::string RowWinogradCorrelationKernel::name() const {
  return problem_.pass + "_row_winograd_" + shape_.name() + "_" + std::string(isa_name(isa_));
}

int64_t RowWinogradCorrelationKernel::num_tasks(int phase) const {
  if (phase == 0) return static_cast<int64_t>(destination_blocks_.size());
  if (phase == 2) return moments_.num_tasks();
  return destination_blocks_.empty() ? 0 : problem_.sources.front().n * boxes_.d * boxes_.h;
}

RowWinogradCorrelationKernel::Task RowWinogradCorrelationKernel::task_at(int64_t task) const {
  const CorrelationGeometry& g = problem_.geometry;
  const int64_t piece = task % (boxes_.d * boxes_.h);
  const int64_t h = task % boxes_.h * box_.h;
  task /= boxes_.h;
  const int64_t d = task % boxes_.d * box_.d;
  return {
      task / boxes_.d, piece,
      clip({{d, h, 0}, {d + box_.d, h + box_.h, g.w.count}}, {g.d.count, g.h.count, g.w.count})};
}

Box3 RowWinogradCorrelationKernel::input_box(int phase, int64_t task, int input) const {
  if (input == problem_.weights_input) {
    return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
  }
  if (phase != 1) return {};
  if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
  return problem_.geometry.source_box(task_at(task).box);
}

Box3 RowWinogradCorrelationKernel::output_box(int phase, int64_t task, int output) const {
  if (output == problem_.moments_output) return phase == 2 ? moments_.output_box(task) : Box3{};
  if (phase != 1 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
  return problem_.geometry.destination_box(task_at(task).box);
}

void RowWinogradCorrelationKernel::transform_weights(size_t index, const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const ChannelBlock& block = destination_blocks_[index];
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  const int64_t source_stride = problem_.source_weight_stride();
  const int64_t destination_stride = problem_.destination_weight_stride();
  float* out = reinterpret_cast<float*>(args.shared_scratch) +
               static_cast<int64_t>(index) * shape_.points() * point_weights_;
  const auto gather = WM_PICK_ISA(isa_, gather_columns);
  const auto filter = WM_PICK_ISA(isa_, row_winograd_filter);
  float* taps = Scratch(*this, args.thread_scratch).taps;
  float* row = taps + volume(g.kernel) * 16;
  const std::vector<AxisTap>& planes = g.d.classes.front().taps;
  const std::vector<AxisTap>& rows = g.h.classes.front().taps;
  for (int64_t c = 0; c < channels_; ++c) {
    gather({weights + c * source_stride + block.channel * destination_stride, destination_stride,
            block.lanes, volume(g.kernel), taps, 16});
    for (size_t d = 0; d < planes.size(); ++d) {
      for (size_t h = 0; h < rows.size(); ++h) {
        float* to = row;
        for (const AxisTap& w : g.w.classes.front().taps) {
          const int64_t tap = (planes[d].k * g.kernel.h + rows[h].k) * g.kernel.w + w.k;
          to = std::copy_n(taps + tap * 16, 16, to);
        }
        const auto vector =
            (static_cast<int64_t>(d) * channels_ + c) * static_cast<int64_t>(rows.size()) +
            static_cast<int64_t>(h);
        filter(shape_.tile, row, out + vector * 16, point_weights_);
      }
    }
  }
}

void RowWinogradCorrelationKernel::run(int phase, int64_t task, const KernelArgs& args) const {
  if (phase == 0) {
    transform_weights(static_cast<size_t>(task), args);
    return;
  }
  if (phase == 2) {
    moments_.fold(task, args);
    return;
  }
  const Task one = task_at(task);
  const Scratch scratch(*this, args.thread_scratch);
  WM_PICK_ISA(isa_, row_winograd_columns)(shape_.tile, scratch.columns);
  const float* bias =
      problem_.bias_input < 0
          ? nullptr
          : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  for (size_t b = 0; b < destination_blocks_.size(); ++b) {
    const ChannelBlock& block = destination_blocks_[b];
    float* out = scratch.bias + b * 16;
    std::fill_n(out, 16, 0.0F);
    if (bias != nullptr) std::copy_n(bias + block.channel, block.lanes, out);
    if (moments_.wanted(args)) moments_.piece(one.piece, block.block, args) = {};
  }
  RowWinogradSource::Load load;
  load.geometry = &problem_.geometry;
  load.input = &args.inputs[static_cast<size_t>(problem_.first_source)];
  load.n = one.n;
  const int64_t piece = one.piece;
  load.box = one.box;
  load.source = problem_.geometry.source_box(one.box);
  load.columns = scratch.columns;
  load.buffer = scratch.buffer;
  load.records = scratch.records;
  source_.for_each_block(load, isa_, scratch.rows, [&](int64_t d, int64_t row, int64_t tile) {
    for (size_t block = 0; block < destination_blocks_.size(); ++block) {
      correlate_rows(load, piece, d, row, tile, block, scratch, args);
    }
  });
  stream_fence();
}

void RowWinogradCorrelationKernel::correlate_rows(const RowWinogradSource::Load& load,
                                                  int64_t piece, int64_t d, int64_t row,
                                                  int64_t tile, size_t index,
                                                  const Scratch& scratch,
                                                  const KernelArgs& args) const {
  const ChannelBlock& block = destination_blocks_[index];
  const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
  if (view.origin == nullptr) return;
  const CorrelationGeometry& g = problem_.geometry;
  RowWinogradProduct product{};
  product.rows = scratch.rows;
  product.channel_pitch = source_.channel_pitch();
  product.planes = static_cast<int32_t>(g.d.classes.front().taps.size());
  product.channels = static_cast<int32_t>(channels_);
  product.row_taps = static_cast<int32_t>(g.h.classes.front().taps.size());
  product.points = static_cast<int32_t>(shape_.points());
  product.tiles = static_cast<int32_t>(std::min(kRowTilesTogether, load.tiles - tile));
  product.weights = reinterpret_cast<const float*>(args.shared_scratch) +
                    static_cast<int64_t>(index) * shape_.points() * point_weights_;
  product.products = scratch.products;
  if (index == 0) product.ahead = source_.rows_ahead(load, d, row, tile, product.tiles);
  WM_PICK_ISA(isa_, row_winograd_product)(product);

  const int64_t w = (load.first_tile + tile) * shape_.outputs;
  RowWinogradOutput output{};
  output.tile = shape_.tile;
  output.products = product.products;
  output.tiles = product.tiles;
  output.rows = std::min(kRowsTogether, load.box.end.h - load.box.begin.h - row);
  output.columns = std::min(product.tiles * shape_.outputs, g.w.count - w);
  output.bias = scratch.bias + index * 16;
  output.destination =
      view.at<float>(load.n, block.block, load.box.begin.d + d, load.box.begin.h + row, w);
  output.row_pitch = view.row_pitch;
  output.stream = streams_[static_cast<size_t>(block.tensor)] &&
                  reinterpret_cast<uintptr_t>(output.destination) % 64 == 0;
  if (moments_.wanted(args)) output.moments = &moments_.piece(piece, block.block, args);
  WM_PICK_ISA(isa_, row_winograd_output)(output);
}

}  // namespace wholemount
